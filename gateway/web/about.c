/* What this program is made of, and the document of this API. */
#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/web/web_int.h"

/* The libraries that fieldpost is linked with, and what those bring, by the beginning of the file's
 * name; the licences as SPDX writes them, of the library's own files (Debian's copyright files). */
static const struct {
    const char *file, *name, *licence;
} known[] = {
    {"libmodbus.", "libmodbus", "LGPL-2.1-or-later"},
    {"libsqlite3.", "SQLite", "blessing"},
    {"libcurl", "curl", "curl"},
    {"libmbedcrypto.", "Mbed TLS", "Apache-2.0"},
    {"libmbedx509.", "Mbed TLS", "Apache-2.0"},
    {"libmbedtls.", "Mbed TLS", "Apache-2.0"},
    {"libcbor.", "libcbor", "MIT"},
    {"libzstd.", "Zstandard", "BSD-3-Clause OR GPL-2.0-only"},
    {"libmicrohttpd.", "GNU libmicrohttpd", "LGPL-2.1-or-later"},
    {"libfyaml.", "libfyaml", "MIT"},
    {"libjansson.", "Jansson", "MIT"},
    {"libmosquitto.", "Mosquitto", "EPL-2.0 OR BSD-3-Clause"},
    {"libqrencode.", "libqrencode", "LGPL-2.1-or-later"},
    {"libseccomp.", "libseccomp", "LGPL-2.1-only"},
    {"libp11-kit.", "p11-kit", "BSD-3-Clause"},
    {"libnettle.", "Nettle", "LGPL-3.0-or-later OR GPL-2.0-or-later"},
    {"libhogweed.", "Nettle", "LGPL-3.0-or-later OR GPL-2.0-or-later"},
    {"libgmp.", "GNU MP", "LGPL-3.0-or-later OR GPL-2.0-or-later"},
    {"libgnutls.", "GnuTLS", "LGPL-2.1-or-later"},
    {"libtasn1.", "GNU Libtasn1", "LGPL-2.1-or-later"},
    {"libunistring.", "GNU libunistring", "LGPL-3.0-or-later OR GPL-2.0-or-later"},
    {"libidn2.", "GNU Libidn2", "LGPL-3.0-or-later OR GPL-2.0-or-later"},
    {"libssl.", "OpenSSL", "Apache-2.0"},
    {"libcrypto.", "OpenSSL", "Apache-2.0"},
    {"libz.", "zlib", "Zlib"},
    {"libbrotlidec.", "Brotli", "MIT"},
    {"libbrotlicommon.", "Brotli", "MIT"},
    {"libnghttp2.", "nghttp2", "MIT"},
    {"libnghttp3.", "nghttp3", "MIT"},
    {"libngtcp2.", "ngtcp2", "MIT"},
    {"libngtcp2_crypto_gnutls.", "ngtcp2", "MIT"},
    {"librtmp.", "RTMPDump", "LGPL-2.1-or-later"},
    {"libssh2.", "libssh2", "BSD-3-Clause"},
    {"libpsl.", "libpsl", "MIT"},
    {"libgssapi_krb5.", "MIT Kerberos", "MIT"},
    {"libkrb5.", "MIT Kerberos", "MIT"},
    {"libk5crypto.", "MIT Kerberos", "MIT"},
    {"libkrb5support.", "MIT Kerberos", "MIT"},
    {"libcom_err.", "e2fsprogs", "MIT"},
    {"libkeyutils.", "keyutils", "LGPL-2.1-or-later"},
    {"libldap-", "OpenLDAP", "OLDAP-2.8"},
    {"liblber-", "OpenLDAP", "OLDAP-2.8"},
    {"libldap.", "OpenLDAP", "OLDAP-2.8"},
    {"liblber.", "OpenLDAP", "OLDAP-2.8"},
    {"libsasl2.", "Cyrus SASL", "BSD-4-Clause"},
    {"libcares.", "c-ares", "MIT"},
    {"libffi.", "libffi", "MIT"},
    {"libgcc_s.", "GCC", "GPL-3.0-or-later WITH GCC-exception-3.1"},
    {"libasan.", "GCC", "GPL-3.0-or-later WITH GCC-exception-3.1"},
    {"libubsan.", "GCC", "GPL-3.0-or-later WITH GCC-exception-3.1"},
    {"libtsan.", "GCC", "GPL-3.0-or-later WITH GCC-exception-3.1"},
    {"libstdc++.", "GCC", "GPL-3.0-or-later WITH GCC-exception-3.1"},
    {"libc.", "GNU C Library", "LGPL-2.1-or-later"},
    {"libm.", "GNU C Library", "LGPL-2.1-or-later"},
    {"libdl.", "GNU C Library", "LGPL-2.1-or-later"},
    {"libpthread.", "GNU C Library", "LGPL-2.1-or-later"},
    {"librt.", "GNU C Library", "LGPL-2.1-or-later"},
    {"libresolv.", "GNU C Library", "LGPL-2.1-or-later"},
    {"ld-linux", "GNU C Library", "LGPL-2.1-or-later"},
};

static int put_library(struct dl_phdr_info *info, size_t bytes, void *ctx)
{
    struct web_json *j = ctx;
    const char *slash = strrchr(info->dlpi_name, '/');
    char path[PATH_MAX]; /* the name that is loaded is a link to the one with the whole version */
    size_t i = 0;
    (void)bytes;
    if (!slash) /* the program itself, and the kernel's vdso */
        return 0;
    const char *file = slash + 1;
    while (i < sizeof known / sizeof *known &&
           strncmp(file, known[i].file, strlen(known[i].file)) != 0)
        i++;
    bool is = i < sizeof known / sizeof *known;
    const char *whole = realpath(info->dlpi_name, path) ? strrchr(path, '/') : NULL;
    web_json_open(j, NULL, '{');
    web_json_text(j, "file", whole ? whole + 1 : file);
    web_json_text(j, "name", is ? known[i].name : NULL);
    web_json_text(j, "licence", is ? known[i].licence : NULL);
    web_json_close(j, '}');
    return 0;
}

/* The key of the newest chain: a rotation may have put another in the place of that of the start.
 */
static const struct web_key *key_of(struct web *w)
{
    const struct web_rooms *m = &w->site.rooms;
    struct store_chain c;
    struct store_reader *r = web_reader(w);
    bool any = r && store_chain_newest(r, &c, NULL) == ST_OK;
    for (size_t i = 0; any && i < m->keys; i++)
        if (memcmp(m->key[i].kid, c.kid, WIRE_ID_BYTES) == 0)
            return &m->key[i];
    return m->keys > 0 && !any ? &m->key[0] : NULL;
}

static void put_hex(struct web_json *j, const char *key, const uint8_t *p, size_t n)
{
    char hex[2 * WIRE_HASH_BYTES + 1];
    wire_hex(p, n, hex);
    web_json_text(j, key, hex);
}

void web_api_about(void *web, const struct http_request *q, struct http_answer *a)
{
    struct web *w = web;
    struct web_json j;
    const struct web_key *key = key_of(w);
    (void)q;
    web_answer_begin(a, &j);
    web_json_text(&j, "version", w->site.version);
    web_json_text(&j, "gateway", w->site.id);
    put_hex(&j, "boot", store_boot(w->store), WIRE_ID_BYTES);
    web_json_int(&j, "started_ms", w->started_ms);
    put_hex(&j, "config", w->site.rooms.config, WIRE_HASH_BYTES);
    if (key) {
        web_json_open(&j, "key", '{');
        put_hex(&j, "kid", key->kid, WIRE_ID_BYTES);
        put_hex(&j, "sha256", key->sha256, WIRE_HASH_BYTES);
        web_json_close(&j, '}');
    } else {
        web_json_text(&j, "key", NULL);
    }
    web_json_open(&j, "libraries", '[');
    (void)dl_iterate_phdr(put_library, &j);
    web_json_close(&j, ']');
    web_answer_end(a, &j, 200);
}

extern const unsigned char web_openapi[];
extern const unsigned long web_openapi_bytes;

void web_api_openapi(void *web, const struct http_request *q, struct http_answer *a)
{
    (void)web;
    (void)q;
    a->status = 200;
    a->content_type = "application/yaml";
    a->static_body = web_openapi;
    a->static_n = web_openapi_bytes;
    http_answer_header(a, "Cache-Control", "no-cache");
}
