/*-------------------------------------------------------------------------
 *
 * unpack_attributes.h
 *	  What remains to be done when the contents of files are there: links,
 *	  owners, modes and times.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_UNPACK_ATTRIBUTES_H
#define PGDR_UNPACK_ATTRIBUTES_H

#include "job/restore_places.h"

/*
 * Makes links; gives files, links and directories to whom they belonged, if
 * this is root, by name where this host knows the name, else by number; then
 * sets modes and times, of directories what is inside first.
 */
extern bool unpack_attributes(const RestorePlaces *places, Error *err);

#endif
