/*-------------------------------------------------------------------------
 *
 * push_help.c
 *	  Threads that help to compress a single segment.
 *
 *-------------------------------------------------------------------------
 */
#include "job/push_help.h"

static void *
help_main(void *arg)
{
	zstd_pool_leave(arg, true);
	return NULL;
}

/* It enters for each of them, so that none finds that all have left. */
void
push_help_begin(PushHelp *help, int threads)
{
	*help = (PushHelp){.pool = NULL};
	if (threads <= 1)
		return;
	help->pool = zstd_pool_new();
	zstd_pool_enter(help->pool);
	while (help->count < threads - 1 && help->count < PUSH_HELPERS_MAX)
	{
		zstd_pool_enter(help->pool);
		if (pthread_create(&help->threads[help->count], NULL, help_main,
						   help->pool) != 0)
		{
			zstd_pool_leave(help->pool, false);
			break;
		}
		help->count++;
	}
}

void
push_help_end(PushHelp *help)
{
	if (help->pool == NULL)
		return;
	zstd_pool_leave(help->pool, false);
	for (int i = 0; i < help->count; i++)
		pthread_join(help->threads[i], NULL);
	zstd_pool_free(help->pool);
}
