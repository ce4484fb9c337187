/*-------------------------------------------------------------------------
 *
 * xml_expat.h
 *	  expat, loaded when the first document is read.
 *
 *-------------------------------------------------------------------------
 */
#ifndef PGDR_XML_EXPAT_H
#define PGDR_XML_EXPAT_H

#include <expat.h>

#include "base/lazy.h"

#define EXPAT_FUNCTIONS(X)            \
	X(XML_ErrorString)                \
	X(XML_GetErrorCode)               \
	X(XML_Parse)                      \
	X(XML_ParserCreate)               \
	X(XML_ParserFree)                 \
	X(XML_SetCharacterDataHandler)    \
	X(XML_SetElementHandler)          \
	X(XML_SetStartDoctypeDeclHandler) \
	X(XML_SetUserData)                \
	X(XML_StopParser)

typedef struct ExpatLib
{
	EXPAT_FUNCTIONS(LAZY_MEMBER)
} ExpatLib;

extern ExpatLib expat_lib;

/* Before anything else is called. */
extern bool xml_load_expat(Error *err);

#define XML_ErrorString expat_lib.XML_ErrorString_
#define XML_GetErrorCode expat_lib.XML_GetErrorCode_
#define XML_Parse expat_lib.XML_Parse_
#define XML_ParserCreate expat_lib.XML_ParserCreate_
#define XML_ParserFree expat_lib.XML_ParserFree_
#define XML_SetCharacterDataHandler expat_lib.XML_SetCharacterDataHandler_
#define XML_SetElementHandler expat_lib.XML_SetElementHandler_
#define XML_SetStartDoctypeDeclHandler expat_lib.XML_SetStartDoctypeDeclHandler_
#define XML_SetUserData expat_lib.XML_SetUserData_
#define XML_StopParser expat_lib.XML_StopParser_

#endif
