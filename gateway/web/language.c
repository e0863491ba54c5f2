/* The page's own words (ui/lang), for answers that people read without the page. */
#include <jansson.h>
#include <string.h>

#include "gateway/web/web_int.h"

extern const unsigned char web_lang_en[], web_lang_vi[];
extern const unsigned long web_lang_en_bytes, web_lang_vi_bytes;

void *web_language_open(const char *language)
{
    bool vi = strcmp(language, "vi") == 0;
    if (!vi && strcmp(language, "en") != 0)
        return NULL;
    return json_loadb((const char *)(vi ? web_lang_vi : web_lang_en),
                      vi ? web_lang_vi_bytes : web_lang_en_bytes, JSON_REJECT_DUPLICATES, NULL);
}

const char *web_language_word(const void *words, const char *key)
{
    return json_string_value(json_object_get(words, key));
}

void web_language_close(void *words)
{
    json_decref(words);
}
