/*-------------------------------------------------------------------------
 *
 * push_outcome.c
 *	  What became of each repository, to be kept and told later.
 *
 *-------------------------------------------------------------------------
 */
#include "job/push.h"

#include <string.h>

#include "base/log.h"

Json *
push_outcomes_json(const RepoSet *set)
{
	Json *array = json_new_array();

	for (size_t i = 0; i < set->count; i++)
	{
		const Error *why = &set->members[i].why;
		Json *obj = json_new_object();

		json_put_str(obj, "name", repo_set_name(set, i));
		json_put_bool(obj, "stored", !error_is_set(why));
		if (error_is_set(why))
			json_put_str(obj, "message", why->message);
		if (why->detail != NULL)
			json_put_str(obj, "detail", why->detail);
		json_append(array, obj);
	}
	return array;
}

bool
push_outcomes_stored(const Json *outcomes, const char *repo)
{
	for (size_t i = 0; i < json_array_len(outcomes); i++)
	{
		const Json *obj = json_array_at(outcomes, i);

		if (strcmp(json_get_str(obj, "name", ""), repo) == 0)
			return json_get_bool(obj, "stored", false);
	}
	return false;
}

void
push_outcomes_warn(const Json *outcomes, const char *what)
{
	for (size_t i = 0; i < json_array_len(outcomes); i++)
	{
		const Json *obj = json_array_at(outcomes, i);
		const char *detail = json_get_str(obj, "detail", NULL);
		Error why = ERROR_INIT;

		if (json_get_bool(obj, "stored", false))
			continue;
		error_set(&why, ERR_INCOMPLETE, "repository \"%s\" has not got %s: %s",
				  json_get_str(obj, "name", "?"), what,
				  json_get_str(obj, "message", "no reason is known"));
		if (detail != NULL)
			error_detail(&why, "%s", detail);
		error_hint(&why, "\"pgdr repair\" brings what it missed.");
		log_error_object(LOG_WARNING, &why);
		error_clear(&why);
	}
}
