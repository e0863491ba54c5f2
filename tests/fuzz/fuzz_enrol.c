/* A city's answer to an enrolment on any bytes: PKCS#7 in DER (coded here, for base64 would hide
 * its structure), the same bytes as the base64 that came, the proof that binds a key, and notices
 * of a city's next keys. Beside the sanitizers: what is found lies one behind the other, and
 * survives PEM. */
// uses: wire
// seeds: tests/fuzz/corpus/enrol/*
#include <string.h>

#include "gateway/wire/wire.h"
#include "tests/fuzz/fuzz.h"

/* Some key, so that checks go on. */
static const struct wire_pub *a_key(void)
{
    static const uint8_t der[91] = {
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        0x04, 0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5,
        0x63, 0xa4, 0x40, 0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4,
        0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96, 0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a,
        0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16, 0x2b, 0xce, 0x33,
        0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5};
    static struct wire_pub *pub;
    if (!pub) {
        demand(wire_pub_parse(&pub, der, sizeof der, NULL) == ST_OK);
    }
    return pub;
}

/* Whether the certificate can be read; then PEM brings the same back. */
static bool survives(struct wire_span der, struct wire_cert *cert)
{
    struct wire_cert again;
    struct buf pem;
    struct err e = {.text = ""};
    if (wire_cert_read(cert, der, &e) != ST_OK) {
        demand(e.text[0]);
        return false;
    }
    demand(memchr(cert->cn, 0, sizeof cert->cn) && !strpbrk(cert->cn, "/\\ \n"));
    buf_init(&pem, 2 * WIRE_EST_MAX);
    demand(wire_cert_pem(der, &pem) == ST_OK && buf_put(&pem, "", 1) == ST_OK);
    demand(wire_cert_read_pem(&again, pem.p, pem.n - 1, NULL) == ST_OK);
    demand(memcmp(again.sha256, cert->sha256, sizeof again.sha256) == 0);
    buf_done(&pem);
    return true;
}

static void look(const void *base64, size_t n)
{
    struct wire_certs c;
    struct wire_cert cert;
    struct err e = {.text = ""};
    bool new_name = false;
    if (wire_certs_open(&c, base64, n, &e) != ST_OK) {
        demand(e.text[0] && c.n == 0 && !c.owned);
        return;
    }
    demand(c.n > 0 && c.n <= WIRE_CERTS_MAX);
    const uint8_t *at = c.owned;
    for (size_t i = 0; i < c.n; i++) {
        demand(c.v[i].p >= at && c.v[i].n > 1);
        at = c.v[i].p + c.v[i].n;
        demand(at <= (const uint8_t *)c.owned + n);
        if (survives(c.v[i], &cert)) {
            new_name = new_name || (cert.cn[0] && strcmp(cert.cn, "gw-1") != 0);
        }
        demand(wire_cert_check(c.v[i], c.v[0], a_key(), "gw-1", NULL) != ST_OK);
    }
    PLANT(new_name);
    wire_certs_done(&c);
}

/* A sequence of notices: what is cut off lies one behind the other, and what opens keeps its rules.
 */
static void cut(const uint8_t *data, size_t n)
{
    struct wire_span rest = {data, n}, item;
    struct wire_notice x;
    struct wire_cose cose;
    const uint8_t *at = data;
    while (wire_notice_next(&rest, &item, NULL) == ST_OK) {
        demand(item.p == at && item.n > 0 && item.n + rest.n <= n);
        at += item.n;
        if (wire_notice_open(&x, &cose, item.p, item.n, NULL) != ST_OK)
            continue;
        demand(x.n > 0 && x.at_ms <= x.from_ms && x.from_ms < x.until_ms && x.at_ms >= 0);
        demand(x.ncas <= WIRE_NOTICE_CAS && (x.ncas > 0 || x.key.n > 0));
        demand(item.n <= WIRE_NOTICE_MAX);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wire_cose cose;
    struct wire_bind b;
    struct buf text;
    buf_init(&text, 8 * WIRE_EST_MAX);
    if (wire_base64(data, n, &text) == ST_OK) {
        look(text.p, text.n);
    }
    buf_done(&text);
    look(data, n);
    cut(data, n);
    if (wire_bind_open(&b, &cose, data, n, NULL) == ST_OK) {
        demand(b.gw[0] && memchr(b.gw, 0, sizeof b.gw));
    }
    return 0;
}
