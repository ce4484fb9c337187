/*-------------------------------------------------------------------------
 *
 * sftp_filter.h
 *	  Stands between an SSH server and its SFTP program, and does mischief at
 *	  exactly the request that it is told.
 *
 * It is started by the SSH server, as the program for SFTP: the tests' own
 * program with the arguments "--filter FILE".  The file holds lines
 * "ACTION REQUEST NUMBER [STATUS]", read when a session starts.  The NUMBER-th
 * REQUEST ("open", "write", "rename", "fsync", ...) of the session meets:
 *
 *	cut			the session ends before the server sees it
 *	lose		the session ends after the server has done it
 *	half		a rename is done by half: both names are there; the session ends
 *	late		likewise, but the other half is done a second later
 *	slow		it takes STATUS seconds
 *	spoil		its last byte is changed (write)
 *	refuse		it and all later ones are answered with STATUS
 *	replace		it and all later ones (renames) replace what is in the way
 *
 * What ends the session, and slow, happens once: the file is removed.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SFTP_FILTER_H
#define PGDR_SFTP_FILTER_H

/* Does not return if the arguments are those of the filter. */
extern void sftp_filter_main(int argc, char **argv);

#endif
