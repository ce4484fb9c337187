/*-------------------------------------------------------------------------
 *
 * server.c
 *	  A connection to the live server: the only one that knows libpq.
 *
 * Everything waits in poll(), and looks ten times a second whether it shall
 * stop; the statement under way is then canceled at the server, so that no
 * session stays behind that waits for a checkpoint.
 *
 * No connection string gets into a message: it may hold a password.  That is
 * also why libpq's own words on a string that it cannot read are not passed
 * on: they quote it.
 *
 *-------------------------------------------------------------------------
 */
#include "pg/server.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "pg/server_libpq.h"

#define POLL_MSECS 100
#define CONNECT_SECS "10"
#define CANCEL_WAIT (5 * USECS_PER_SEC)
#define OPTIONS_MAX 128

struct Server
{
	PGconn *conn;
};

/* What the connection string may overrule. */
static const char *const default_options[][2] = {
	{"fallback_application_name", "pgdr"}, {"application_name", "pgdr"},
	{"connect_timeout", CONNECT_SECS},     {"keepalives_idle", "60"},
	{"keepalives_interval", "10"},         {"keepalives_count", "6"},
};

/*
 * The functions meant are those of pg_catalog, whatever else lies in the
 * database; a backup may take long; 17 has one more time-out.
 */
static const char setup_sql[] =
	"SELECT pg_catalog.set_config('search_path', 'pg_catalog', false)"
	" UNION ALL "
	"SELECT pg_catalog.set_config(name, '0', false)"
	" FROM pg_catalog.pg_settings"
	" WHERE name IN ('statement_timeout', 'lock_timeout',"
	" 'idle_in_transaction_session_timeout', 'idle_session_timeout',"
	" 'transaction_timeout')";

/* libpq's messages have several lines, indented; ours have one. */
static char *
one_line(const char *text)
{
	StrBuf line = STRBUF_INIT;

	for (; *text != '\0'; text++)
	{
		bool blank = *text == '\n' || *text == '\t' || *text == ' ';

		if (!blank)
			strbuf_putc(&line, *text);
		else if (line.len > 0 && line.data[line.len - 1] != ' ')
			strbuf_putc(&line, ' ');
	}
	while (line.len > 0 && line.data[line.len - 1] == ' ')
		line.data[--line.len] = '\0';
	return strbuf_steal(&line);
}

/* What libpq has to say of the connection itself; trying again may help. */
static bool
connection_error(PGconn *conn, const char *what, Error *err)
{
	Error why = ERROR_INIT;
	char *text = one_line(PQerrorMessage(conn));

	error_set(&why, ERR_SERVER, "%s", what);
	if (*text != '\0')
		error_detail(&why, "%s", text);
	why.transient = true;
	error_move(err, &why);
	free(text);
	return false;
}

/* Classes of errors that pass: lost connection, no room, shutting down. */
static bool
is_transient(const char *state)
{
	return strncmp(state, "08", 2) == 0 || strncmp(state, "40", 2) == 0 ||
		   strncmp(state, "53", 2) == 0 || strncmp(state, "57P", 3) == 0;
}

static bool
result_error(PGconn *conn, const PGresult *result, Error *err)
{
	Error why = ERROR_INIT;
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);

	if (primary == NULL)
		return connection_error(conn, "lost the connection to PostgreSQL", err);
	error_set(&why, ERR_SERVER, "%s", primary);
	if (detail != NULL)
		error_detail(&why, "%s", detail);
	if (hint != NULL)
		error_hint(&why, "%s", hint);
	why.transient = state != NULL && is_transient(state);
	error_move(err, &why);
	return false;
}

/* Notices of the server go where our own messages go. */
static void
receive_notice(void *arg, const PGresult *result)
{
	const char *severity = PQresultErrorField(result,
											  PG_DIAG_SEVERITY_NONLOCALIZED);
	const char *primary = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);

	(void) arg;
	if (primary == NULL)
		return;
	if (severity != NULL && strcmp(severity, "WARNING") == 0)
		log_warning("PostgreSQL: %s", primary);
	else
		log_debug("PostgreSQL: %s", primary);
}

/*
 * Waits for the socket, a tenth of a second at most; ready may be NULL.
 */
static bool
wait_socket(PGconn *conn, short events, bool *ready, Error *err)
{
	struct pollfd fd = {.fd = PQsocket(conn), .events = events};
	int count;

	if (fd.fd < 0)
		return connection_error(conn, "lost the connection to PostgreSQL", err);
	count = poll(&fd, 1, POLL_MSECS);
	if (count < 0 && errno != EINTR)
		return error_set_errno(err, errno, "could not wait for PostgreSQL");
	if (ready != NULL)
		*ready = count > 0;
	return true;
}

/*
 * Tells the server to give up the statement, and reads until it has: it may
 * have to undo a backup's start.
 */
static void
cancel_statement(PGconn *conn)
{
	PGcancel *cancel = PQgetCancel(conn);
	int64_t deadline = clock_monotonic() + CANCEL_WAIT;
	Error ignored = ERROR_INIT;
	char text[256];

	if (cancel == NULL)
		return;
	if (!PQcancel(cancel, text, sizeof(text)))
		log_debug("could not cancel a statement: %s", text);
	PQfreeCancel(cancel);
	while (clock_monotonic() < deadline)
	{
		PGresult *result;

		if (PQisBusy(conn))
		{
			if (!wait_socket(conn, POLLIN, NULL, &ignored) ||
				!PQconsumeInput(conn))
				break;
			continue;
		}
		result = PQgetResult(conn);
		if (result == NULL)
			break;
		PQclear(result);
	}
	error_clear(&ignored);
}

static bool
flush_statement(PGconn *conn, Error *err)
{
	int left;

	while ((left = PQflush(conn)) > 0)
	{
		if (!thread_check_stop(err) ||
			!wait_socket(conn, POLLIN | POLLOUT, NULL, err))
			return false;
		if (!PQconsumeInput(conn))
			break;
	}
	if (left != 0)
		return connection_error(conn, "lost the connection to PostgreSQL", err);
	return true;
}

/* The next result, NULL behind the last. */
static bool
next_result(PGconn *conn, PGresult **out, Error *err)
{
	*out = NULL;
	while (PQisBusy(conn))
	{
		if (!thread_check_stop(err))
		{
			cancel_statement(conn);
			return false;
		}
		if (!wait_socket(conn, POLLIN, NULL, err))
			return false;
		if (!PQconsumeInput(conn))
			return connection_error(conn, "lost the connection to PostgreSQL",
									err);
	}
	*out = PQgetResult(conn);
	return true;
}

/* Reads all results; *out is the last, which the caller clears. */
static bool
read_results(PGconn *conn, PGresult **out, Error *err)
{
	PGresult *result;
	bool done = true;

	*out = NULL;
	while (next_result(conn, &result, err))
	{
		ExecStatusType status;

		if (result == NULL)
			return done;
		status = PQresultStatus(result);
		PQclear(*out);
		*out = result;
		/* its results would come again for ever */
		if (status == PGRES_COPY_IN || status == PGRES_COPY_OUT ||
			status == PGRES_COPY_BOTH)
			return error_set(err, ERR_INTERNAL, "unexpected COPY");
		if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK &&
			status != PGRES_EMPTY_QUERY)
			done = result_error(conn, result, err);
		if (PQstatus(conn) != CONNECTION_OK)
			return false;
	}
	return false;
}

/*
 * Runs sql; param is NULL if there is no $1.  *out, which the caller clears,
 * is set whenever true is returned.
 */
static bool
run(Server *s, const char *sql, const char *param, PGresult **out, Error *err)
{
	int sent;

	*out = NULL;
	if (!thread_check_stop(err))
		return false;
	if (param != NULL)
		sent = PQsendQueryParams(s->conn, sql, 1, NULL, &param, NULL, NULL, 0);
	else
		sent = PQsendQuery(s->conn, sql);
	if (!sent)
		return connection_error(s->conn,
								"could not send a statement to "
								"PostgreSQL",
								err);
	if (!flush_statement(s->conn, err))
		return false;
	if (read_results(s->conn, out, err) && *out != NULL)
		return true;
	PQclear(*out);
	*out = NULL;
	/* never false without a word */
	return error_is_set(err)
			   ? false
			   : error_set(err, ERR_SERVER, "PostgreSQL gave no answer");
}

/* Keywords and values for libpq, which keeps none of them. */
typedef struct Options
{
	const char *keywords[OPTIONS_MAX + 1];
	const char *values[OPTIONS_MAX + 1];
	int count;
} Options;

/* A later one of the same keyword takes the place of the earlier. */
static void
set_option(Options *o, const char *keyword, const char *value)
{
	int i = 0;

	while (i < o->count && strcmp(o->keywords[i], keyword) != 0)
		i++;
	if (i == OPTIONS_MAX)
		return;
	o->keywords[i] = keyword;
	o->values[i] = value;
	if (i == o->count)
		o->count++;
}

/* Seconds; each host of a list has the connection's time-out to itself. */
static int64_t
connect_secs(const Options *o)
{
	long secs = 0;
	int hosts = 1;

	for (int i = 0; i < o->count; i++)
	{
		if (strcmp(o->keywords[i], "connect_timeout") == 0)
			secs = strtol(o->values[i], NULL, 10);
		if (strcmp(o->keywords[i], "host") != 0)
			continue;
		for (const char *p = o->values[i]; *p != '\0'; p++)
			hosts += *p == ',';
	}
	/* 0 or less means without limit, for libpq */
	if (secs <= 0 || secs > 86400)
		secs = 86400;
	return (int64_t) secs * hosts;
}

static bool
no_answer(Error *err)
{
	Error why = ERROR_INIT;

	error_set(&why, ERR_SERVER, "could not connect to PostgreSQL");
	error_detail(&why, "It did not answer in time.");
	why.transient = true;
	error_move(err, &why);
	return false;
}

/*
 * PQconnectPoll() may be called only when the socket is ready: it takes a
 * connection that is still being made for one that is.
 */
static bool
finish_connecting(PGconn *conn, int64_t secs, Error *err)
{
	int64_t deadline = clock_monotonic() + secs * USECS_PER_SEC;
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;

	if (PQstatus(conn) == CONNECTION_BAD)
		return connection_error(conn, "could not connect to PostgreSQL", err);
	while (status != PGRES_POLLING_OK)
	{
		bool ready;

		if (status == PGRES_POLLING_FAILED)
			return connection_error(conn, "could not connect to PostgreSQL",
									err);
		if (!thread_check_stop(err) ||
			!wait_socket(conn,
						 status == PGRES_POLLING_READING ? POLLIN : POLLOUT,
						 &ready, err))
			return false;
		if (ready)
			status = PQconnectPoll(conn);
		else if (clock_monotonic() > deadline)
			return no_answer(err);
	}
	return true;
}

static bool
open_connection(PQconninfoOption *parsed, Server *s, Error *err)
{
	Options o = {.count = 0};

	for (size_t i = 0; i < sizeof(default_options) / sizeof(*default_options);
		 i++)
		set_option(&o, default_options[i][0], default_options[i][1]);
	for (PQconninfoOption *p = parsed; p->keyword != NULL; p++)
	{
		if (p->val != NULL)
			set_option(&o, p->keyword, p->val);
	}
	set_option(&o, "client_encoding", "UTF8");
	s->conn = PQconnectStartParams(o.keywords, o.values, 0);
	if (s->conn == NULL)
		return error_set(err, ERR_SERVER,
						 "could not connect to PostgreSQL: "
						 "out of memory");
	PQsetNoticeReceiver(s->conn, receive_notice, NULL);
	return finish_connecting(s->conn, connect_secs(&o), err);
}

bool
server_connect(const char *conninfo, Server **out, Error *err)
{
	PQconninfoOption *parsed;
	Server *s;
	bool done;

	*out = NULL;
	if (!server_load_libpq(err))
		return false;
	parsed = PQconninfoParse(conninfo, NULL);
	if (parsed == NULL)
	{
		error_set(err, ERR_CONFIG, "connection string cannot be understood");
		return error_hint(err, "It is of the form \"host=/var/run/postgresql "
							   "port=5432 dbname=postgres\", or a URI.");
	}
	s = mem_zalloc(sizeof(*s));
	done = open_connection(parsed, s, err);
	PQconninfoFree(parsed);
	if (done && PQsetnonblocking(s->conn, 1) != 0)
		done = connection_error(s->conn,
								"could not set up the connection to "
								"PostgreSQL",
								err);
	done = done && server_exec(s, setup_sql, err);
	if (done)
		*out = s;
	else
		server_close(s);
	return done;
}

void
server_close(Server *s)
{
	if (s == NULL)
		return;
	PQfinish(s->conn);
	free(s);
}

static bool
single_value(Server *s, const char *sql, const char *param, char **out,
			 Error *err)
{
	PGresult *result;
	bool done;

	*out = NULL;
	if (!run(s, sql, param, &result, err))
		return false;
	done = PQntuples(result) > 0 && PQnfields(result) > 0;
	if (done)
		*out = mem_strdup(PQgetvalue(result, 0, 0));
	else
		error_set(err, ERR_SERVER, "PostgreSQL returned no row");
	PQclear(result);
	return done;
}

bool
server_value(Server *s, const char *sql, char **out, Error *err)
{
	return single_value(s, sql, NULL, out, err);
}

bool
server_value_1(Server *s, const char *sql, const char *param, char **out,
			   Error *err)
{
	return single_value(s, sql, param, out, err);
}

bool
server_exec(Server *s, const char *sql, Error *err)
{
	PGresult *result;

	if (!run(s, sql, NULL, &result, err))
		return false;
	PQclear(result);
	return true;
}

bool
server_query(Server *s, const char *sql, ServerRowFn fn, void *arg, Error *err)
{
	PGresult *result;
	int ncols;
	char **values;
	bool done = true;

	if (!run(s, sql, NULL, &result, err))
		return false;
	ncols = PQnfields(result);
	values = mem_alloc((size_t) ncols * sizeof(*values));
	for (int row = 0; done && row < PQntuples(result); row++)
	{
		for (int i = 0; i < ncols; i++)
			values[i] = PQgetisnull(result, row, i)
							? NULL
							: PQgetvalue(result, row, i);
		done = fn(arg, values, ncols, err);
	}
	free(values);
	PQclear(result);
	return done;
}

/*
 * Done here rather than by libpq, which returns NULL for text that is not
 * valid in the client's encoding.  The E form does not depend on
 * standard_conforming_strings.
 */
char *
server_quote(Server *s, const char *text)
{
	StrBuf out = STRBUF_INIT;

	(void) s;
	strbuf_puts(&out, strchr(text, '\\') != NULL ? " E'" : "'");
	for (; *text != '\0'; text++)
	{
		if (*text == '\'' || *text == '\\')
			strbuf_putc(&out, *text);
		strbuf_putc(&out, *text);
	}
	strbuf_putc(&out, '\'');
	return strbuf_steal(&out);
}
