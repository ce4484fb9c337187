/*-------------------------------------------------------------------------
 *
 * config_edit.h
 *	  Changes recipients in the text of a configuration file.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_CONFIG_EDIT_H
#define PGDR_CONFIG_EDIT_H

#include "base/mem.h"
#include "stream/age.h"

/*
 * The text with anew ("age1...@2026-11-29") in the place of the first of the
 * old recipients, and without the others of them; everything else stays as it
 * is, comments included.  Keys in escrow are not touched.  False if no line
 * names one of them.
 */
extern bool config_edit_recipients(const char *text, const AgeRecipients *old,
								   const char *anew, StrBuf *out);

#endif
