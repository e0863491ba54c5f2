/* The page's files, packed when the program was built (gateway/web/ui/build.mjs). */
#ifndef GATEWAY_WEB_ASSETS_H
#define GATEWAY_WEB_ASSETS_H

#include <stddef.h>

enum web_form { WEB_PLAIN, WEB_GZIP, WEB_BROTLI, WEB_FORMS };

struct web_asset {
    const char *path; /* "/", or "/a/NAME.HASH.EXT" */
    const char *type;
    const char *tag; /* its ETag, weak: one for all forms */
    struct {
        const unsigned char *bytes;
        size_t n;
    } form[WEB_FORMS];
};
extern const struct web_asset web_assets[];
extern const size_t web_assets_count;

/* Which form to send to a browser that says `accepted` (Accept-Encoding; NULL: it says nothing):
 * the smallest that it names and does not refuse with q=0. */
enum web_form web_form_for(const char *accepted);

#endif
