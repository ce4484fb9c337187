/*-------------------------------------------------------------------------
 *
 * server_libpq.h
 *	  libpq, loaded when the first server is connected to.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_SERVER_LIBPQ_H
#define PGDR_SERVER_LIBPQ_H

#include <libpq-fe.h>

#include "base/lazy.h"

#define LIBPQ_FUNCTIONS(X)  \
	X(PQcancel)             \
	X(PQclear)              \
	X(PQconnectPoll)        \
	X(PQconnectStartParams) \
	X(PQconninfoFree)       \
	X(PQconninfoParse)      \
	X(PQconsumeInput)       \
	X(PQerrorMessage)       \
	X(PQfinish)             \
	X(PQflush)              \
	X(PQfreeCancel)         \
	X(PQgetCancel)          \
	X(PQgetResult)          \
	X(PQgetisnull)          \
	X(PQgetvalue)           \
	X(PQisBusy)             \
	X(PQnfields)            \
	X(PQntuples)            \
	X(PQresultErrorField)   \
	X(PQresultStatus)       \
	X(PQsendQuery)          \
	X(PQsendQueryParams)    \
	X(PQsetNoticeReceiver)  \
	X(PQsetnonblocking)     \
	X(PQsocket)             \
	X(PQstatus)

typedef struct LibpqLib
{
	LIBPQ_FUNCTIONS(LAZY_MEMBER)
} LibpqLib;

extern LibpqLib libpq_lib;

/* Before anything else is called. */
extern bool server_load_libpq(Error *err);

#define PQcancel libpq_lib.PQcancel_
#define PQclear libpq_lib.PQclear_
#define PQconnectPoll libpq_lib.PQconnectPoll_
#define PQconnectStartParams libpq_lib.PQconnectStartParams_
#define PQconninfoFree libpq_lib.PQconninfoFree_
#define PQconninfoParse libpq_lib.PQconninfoParse_
#define PQconsumeInput libpq_lib.PQconsumeInput_
#define PQerrorMessage libpq_lib.PQerrorMessage_
#define PQfinish libpq_lib.PQfinish_
#define PQflush libpq_lib.PQflush_
#define PQfreeCancel libpq_lib.PQfreeCancel_
#define PQgetCancel libpq_lib.PQgetCancel_
#define PQgetResult libpq_lib.PQgetResult_
#define PQgetisnull libpq_lib.PQgetisnull_
#define PQgetvalue libpq_lib.PQgetvalue_
#define PQisBusy libpq_lib.PQisBusy_
#define PQnfields libpq_lib.PQnfields_
#define PQntuples libpq_lib.PQntuples_
#define PQresultErrorField libpq_lib.PQresultErrorField_
#define PQresultStatus libpq_lib.PQresultStatus_
#define PQsendQuery libpq_lib.PQsendQuery_
#define PQsendQueryParams libpq_lib.PQsendQueryParams_
#define PQsetNoticeReceiver libpq_lib.PQsetNoticeReceiver_
#define PQsetnonblocking libpq_lib.PQsetnonblocking_
#define PQsocket libpq_lib.PQsocket_
#define PQstatus libpq_lib.PQstatus_

#endif
