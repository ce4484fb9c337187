/*-------------------------------------------------------------------------
 *
 * azure_error.c
 *	  What an error of Azure Blob Storage means, and what to do about it.
 *
 *-------------------------------------------------------------------------
 */
#include "storage/azure.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "storage/xml.h"

/* A request may be fifteen minutes old when it arrives. */
#define SKEW_TOLD (10 * 60 * USECS_PER_SEC)

#define CHECK_NAME                                                     \
	"Check account and container in the configuration; pgdr makes no " \
	"container, \"az storage container create\" does."

#define MD5_MISMATCH "Md5Mismatch"

typedef struct Fault
{
	const char *name; /* of the server */
	ErrCode code;
	bool transient;
	const char *message;
	const char *hint; /* or NULL */
} Fault;

/* 404 and 409 are answers only with a code that we know. */
static const Fault faults[] = {
	{"BlobNotFound", ERR_NOT_FOUND, false, "object does not exist", NULL},
	{"BlobAlreadyExists", ERR_EXISTS, false, "object already exists", NULL},
	/* to who may create, but not write */
	{"UnauthorizedBlobOverwrite", ERR_EXISTS, false, "object already exists",
	 NULL},
	{"ConditionNotMet", ERR_EXISTS, false, "object already exists", NULL},
	{"ContainerNotFound", ERR_CONFIG, false, "container does not exist",
	 CHECK_NAME},
	{"InvalidResourceName", ERR_CONFIG, false,
	 "server does not take the name of the container or object", CHECK_NAME},
	{"ContainerBeingDeleted", ERR_IO, true, "container is being deleted",
	 CHECK_NAME},
	{"ContainerDisabled", ERR_DENIED, false, "container is disabled", NULL},
	{"AccountIsDisabled", ERR_DENIED, false, "account is disabled",
	 "Ask those who administer the subscription."},
	{"KeyBasedAuthenticationNotPermitted", ERR_DENIED, false,
	 "account does not permit account keys",
	 "Set sas-token-file to a user delegation SAS, or allow shared keys for "
	 "the account."},
	{"AuthorizationProtocolMismatch", ERR_DENIED, false,
	 "SAS does not permit this protocol",
	 "Use an endpoint that begins with https."},
	{"AuthorizationSourceIPMismatch", ERR_DENIED, false,
	 "SAS does not permit requests from this host's address",
	 "Issue a SAS for the address that the server sees, or for any."},
	{"AuthorizationServiceMismatch", ERR_DENIED, false, "SAS is not for blobs",
	 "An account SAS needs the service b."},
	{"AuthorizationResourceTypeMismatch", ERR_DENIED, false,
	 "SAS is not for containers and objects",
	 "An account SAS needs the resource types c and o."},
	{"InsufficientAccountPermissions", ERR_DENIED, false,
	 "account does not permit this", NULL},
	{"BlobImmutableDueToPolicy", ERR_DENIED, false,
	 "object is protected by an immutability policy",
	 "It can be removed when its retention time is over."},
	{"BlobArchived", ERR_IO, false, "object is in the archive tier",
	 "Rehydrate it to an online tier first, which takes hours."},
	{"BlobBeingRehydrated", ERR_IO, false,
	 "object is still on its way from the archive tier",
	 "Try again when it is rehydrated, which takes hours."},
	{"LeaseIdMissing", ERR_BUSY, false, "somebody holds a lease on the object",
	 "Break the lease, with \"az storage blob lease break\"."},
	{"SnapshotsPresent", ERR_DENIED, false, "object has snapshots",
	 "Delete the snapshots, which pgdr neither makes nor removes."},
	/* azure_write.c decides what that means */
	{"InvalidBlockList", ERR_IO, false, "uploaded blocks are gone", NULL},
	{"BlockCountExceedsLimit", ERR_CONFIG, false, "object has too many blocks",
	 "Set block-size higher."},
	{"BlockListTooLong", ERR_CONFIG, false, "object has too many blocks",
	 "Set block-size higher."},
	{"RequestBodyTooLarge", ERR_CONFIG, false, "server takes no such block",
	 "Set block-size lower."},
	{MD5_MISMATCH, ERR_IO, true, "server received other bytes than were sent",
	 "Something between this host and the server damages what passes."},
};

static const Fault *
find_fault(const char *name)
{
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
	{
		if (strcmp(faults[i].name, name) == 0)
			return &faults[i];
	}
	return NULL;
}

static void
set_code(AzureCall *call, const char *text)
{
	call->code[0] = '\0';
	strncat(call->code, text, AZURE_CODE_LEN - 1);
}

/* In a header, where HEAD has it too; else in the body. */
static void
find_code(AzureCall *call, const HttpResponse *answer)
{
	char *text = http_header(answer, "x-ms-error-code");

	if (text == NULL && answer->body.len > 0)
		text = xml_find(answer->body.data, answer->body.len, "Error/Code");
	set_code(call, text ? text : "");
	free(text);
}

/*
 * Azurite has no code of its own for a body that does not have its MD5, only
 * words.
 */
static void
mend_code(AzureCall *call, const HttpResponse *answer)
{
	char *text;

	if (strcmp(call->code, "InvalidOperation") != 0 || answer->body.len == 0)
		return;
	text = xml_find(answer->body.data, answer->body.len, "Error/Message");
	if (text != NULL && strstr(text, "MD5") != NULL)
		set_code(call, MD5_MISMATCH);
	free(text);
}

/* What support asks for. */
static void
tell_request(const AzureCall *call, const HttpResponse *answer, Error *err)
{
	char *id = http_header(answer, "x-ms-request-id");

	if (call->code[0] != '\0' || id != NULL)
		error_detail(err, "The server answered with status %d %s, request %s.",
					 answer->status, call->code, id ? id : "without an id");
	free(id);
}

/* Is it the time that is wrong, of the SAS or of this host? */
static bool
hint_of_time(const AzureAuth *auth, const HttpResponse *answer, Error *err)
{
	char *text = http_header(answer, "Date");
	int64_t server = text ? http_parse_date(text) : 0;
	int64_t now = server > 0 ? server : clock_now();
	int64_t start = azure_sas_time(auth, "st");
	int64_t end = azure_sas_time(auth, "se");
	int64_t skew = server > 0 ? clock_now() - server : 0;
	char when[CLOCK_TEXT_LEN];

	free(text);
	if (end > 0 && end <= now)
		error_hint(err, "The SAS expired at %s: issue a new one.",
				   clock_format(end, when));
	else if (start > now)
		error_hint(err, "The SAS is valid from %s on only.",
				   clock_format(start, when));
	else if (skew > SKEW_TOLD || skew < -SKEW_TOLD)
		error_hint(err,
				   "This host's clock is %lld minutes %s the server's: set "
				   "it right.",
				   (long long) ((skew < 0 ? -skew : skew) / USECS_PER_SEC / 60),
				   skew > 0 ? "ahead of" : "behind");
	else
		return false;
	return true;
}

static void
explain_refusal(const AzureCall *call, const HttpResponse *answer, Error *err)
{
	const AzureAuth *auth = &call->az->auth;

	error_set(err, ERR_DENIED, "server does not accept the %s",
			  auth->sas ? "SAS" : "account key");
	if (hint_of_time(auth, answer, err))
		return;
	if (auth->sas != NULL)
		error_hint(err, "Check that the SAS is whole, was issued for this "
						"container, and that neither its key nor its policy "
						"was withdrawn.");
	else
		error_hint(err,
				   "Check that the key is a current one of account \"%s\".",
				   auth->account);
	if (strcmp(call->code, "AuthorizationFailure") == 0)
		error_hint(err, "The account's firewall may also refuse this host's "
						"address.");
}

static void
explain_permission(const AzureCall *call, Error *err)
{
	error_set(err, ERR_DENIED, "credential lacks the permission %s",
			  call->needs);
	error_hint(err, "Issue a SAS that has it.");
	if (strcmp(call->needs, AZURE_WRITE) == 0)
		error_hint(err, "Only objects larger than block-size need it.");
	else if (strcmp(call->needs, AZURE_CREATE) == 0)
		error_hint(err, "It may also be that the object exists already.");
}

/* Who answers 404 without a code is no Azure. */
static void
explain_other(const AzureCall *call, const HttpResponse *answer, Error *err)
{
	int status = answer->status;

	if (call->code[0] == '\0' && (status < 500 || status > 599) &&
		status != 408 && status != 429)
	{
		error_set(err, ERR_IO,
				  "server answered with status %d, and not as "
				  "Azure does",
				  status);
		error_hint(err, "Check the endpoint (and proxy) in the configuration.");
		return;
	}
	error_set(err, status == 401 || status == 403 ? ERR_DENIED : ERR_IO,
			  "server answered with status %d%s%s", status,
			  call->code[0] ? " " : "", call->code);
	err->transient = status == 429 || status == 408 ||
					 (status >= 500 && status != 501 && status != 505);
}

void
azure_explain(AzureCall *call, const HttpResponse *answer, Error *err)
{
	const Fault *fault;
	Error cause = ERROR_INIT;

	find_code(call, answer);
	mend_code(call, answer);
	fault = find_fault(call->code);
	if (fault != NULL)
	{
		error_set(&cause, fault->code, "%s", fault->message);
		cause.transient = fault->transient;
		if (fault->hint != NULL)
			error_hint(&cause, "%s", fault->hint);
	}
	else if (strcmp(call->code, AZURE_NOT_PERMITTED) == 0)
		explain_permission(call, &cause);
	else if (strcmp(call->code, "AuthenticationFailed") == 0 ||
			 strcmp(call->code, "AuthorizationFailure") == 0 ||
			 strcmp(call->code, "InvalidAuthenticationInfo") == 0 ||
			 strcmp(call->code, "NoAuthenticationInformation") == 0)
		explain_refusal(call, answer, &cause);
	else
		explain_other(call, answer, &cause);
	if (cause.code != ERR_NOT_FOUND && cause.code != ERR_EXISTS)
		tell_request(call, answer, &cause);
	error_move(err, &cause);
}
