/*-------------------------------------------------------------------------
 *
 * progress_show.h
 *	  Shows a command's counters while it works: a line on the terminal, or
 *	  JSON lines.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_PROGRESS_SHOW_H
#define PGDR_PROGRESS_SHOW_H

#include "base/progress.h"

typedef struct ProgressShow ProgressShow;

/* Starts a thread; without one (no resources) the counters are kept unseen. */
extern ProgressShow *progress_show_start(void);
extern Progress *progress_show_counters(ProgressShow *show);
extern void progress_show_stop(ProgressShow *show); /* NULL is fine */

#endif
