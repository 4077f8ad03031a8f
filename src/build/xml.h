/*
 * build/xml.h: reads the small XML documents by which object stores answer (XML 1.0, fifth edition), as far
 * as those need it: elements, text, the five entities and character references. Attributes are skipped, a
 * prefix is cut off names. A DOCTYPE or CDATA is refused: no store sends one, and much harm was done with
 * them.
 */
#ifndef DISPATCH_BUILD_XML_H
#define DISPATCH_BUILD_XML_H

#include "base/err.h"
#include "base/str.h"

#include <stddef.h>

enum { XML_DEPTH_MAX = 16, XML_NAME_MAX = 64, XML_TEXT_MAX = 4096 };

/* An element has ended. depth: 1 is the document's own. text: what stood in it, decoded, without blanks
 * around it, cut at XML_TEXT_MAX; "" of one that holds elements. Valid during the call. */
typedef void (*xml_element)(void *arg, size_t depth, struct str name, struct str text);

/* ERR_BAD_REPLY: it is not such a document; elements before that place were reported. */
enum err_code xml_read(struct str document, xml_element element, void *arg, struct err *err);

#endif
