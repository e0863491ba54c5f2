/* A configuration that a gateway signs and gives to the city for safe keeping. One form, so that it
 * is read as it is written. */
#include "gateway/wire/wire_int.h"

/* ---- files --------------------------------------------------------------------------------- */

/* Whether it may be shown on a terminal as it is; the reader has seen that it is UTF-8. */
static bool is_clean(struct wire_span s, bool lines)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool layout = lines && (c == '\n' || c == '\r' || c == '\t');
        bool c1 = c == 0xc2 && i + 1 < s.n && s.p[i + 1] < 0xa0; /* U+0080 to U+009F */

        if ((c < ' ' && !layout) || c == 0x7f || c1)
            return false;
    }
    return true;
}

enum st wire_deposit_files(const struct wire_deposit_file *v, size_t n, struct buf *out,
                           struct err *e)
{
    size_t start = out->n;
    enum st st = wire_put_array(out, n);

    for (size_t i = 0; !st && i < n; i++) {
        st = wire_put_array(out, 2);
        if (!st)
            st = wire_put_text_n(out, v[i].name.p, v[i].name.n);
        if (!st)
            st = wire_put_text_n(out, v[i].content.p, v[i].content.n);
    }
    if (st)
        out->n = start;
    return st ? err_set(e, st, "the files are larger than %d KiB in all", WIRE_DEPOSIT_MAX / 1024)
              : ST_OK;
}

static enum st next_file(struct wire_reader *r, struct wire_deposit_file *f, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;

    ERR_TRY(wire_expect_count(r, WIRE_ARRAY, 2, e));
    ERR_TRY(wire_expect(r, WIRE_TEXT, &it, e));
    f->name = it.span;
    if (f->name.n == 0 || f->name.n > WIRE_DEPOSIT_NAME || !is_clean(f->name, false))
        return wire_bad(r, at, e, "a file's name that is empty, too long or not plain text");
    at = r->p;
    ERR_TRY(wire_expect(r, WIRE_TEXT, &it, e));
    f->content = it.span;
    if (f->content.n > WIRE_DEPOSIT_FILE_MAX)
        return wire_bad(r, at, e, "a file above 256 KiB");
    return is_clean(f->content, true) ? ST_OK : wire_bad(r, at, e, "a file that is no plain text");
}

static enum st next_files(struct wire_deposit *d, struct wire_reader *r, struct err *e)
{
    const uint8_t *at = r->p;
    struct wire_item it;

    ERR_TRY(wire_expect(r, WIRE_ARRAY, &it, e));
    if (it.u == 0 || it.u > WIRE_DEPOSIT_FILES)
        return wire_bad(r, at, e, "no file, or more than 64");
    for (d->nfiles = 0; d->nfiles < it.u; d->nfiles++)
        ERR_TRY(next_file(r, &d->file[d->nfiles], e));
    d->files = (struct wire_span){at, (size_t)(r->p - at)};
    return ST_OK;
}

/* ---- the message --------------------------------------------------------------------------- */

static enum st put(struct buf *b, const struct wire_deposit *d)
{
    enum st st = wire_put_map(b, 5);

    if (!st)
        st = wire_put_named_uint(b, "v", 1);
    if (!st)
        st = wire_put_named_text(b, "gw", d->gw);
    if (!st)
        st = wire_put_named_bytes(b, "hash", d->hash, sizeof d->hash);
    if (!st)
        st = wire_put_text(b, "when");
    if (!st)
        st = wire_put_int(b, d->when_ms);
    if (!st)
        st = wire_put_text(b, "files");
    return st ? st : buf_put(b, d->files.p, d->files.n);
}

enum st wire_deposit_sign(struct wire_deposit *d, const struct wire_signer *key, struct buf *out,
                          struct err *e)
{
    struct wire_reader r = wire_reader_of(d->files.p, d->files.n);
    struct buf b;

    ERR_TRY(next_files(d, &r, e));
    if (!wire_end(&r))
        return err_set(e, ST_BAD, "bytes behind the files");
    wire_sha256(d->file[0].content.p, d->file[0].content.n, d->hash);
    buf_init(&b, WIRE_DEPOSIT_MAX + 1024);
    enum st st = put(&b, d);
    st = st ? err_set(e, st, "no room for a configuration")
            : wire_answer_sign(WIRE_TYPE_CONFIG, &b, key, out, e);
    buf_done(&b);
    return st;
}

static enum st open_payload(struct wire_deposit *d, struct wire_span payload, struct err *e)
{
    struct wire_reader r = wire_reader_of(payload.p, payload.n);
    uint8_t hash[WIRE_HASH_BYTES];
    struct wire_item v;

    ERR_TRY(wire_expect_count(&r, WIRE_MAP, 5, e));
    ERR_TRY(wire_expect_key(&r, "v", WIRE_UINT, &v, e));
    if (v.u != 1)
        return err_set(e, ST_UNSUPPORTED, "a configuration of another version");
    ERR_TRY(wire_expect_key(&r, "gw", WIRE_TEXT, &v, e));
    if (!wire_is_id(v.span))
        return wire_bad(&r, v.span.p, e, "gw is no id");
    memcpy(d->gw, v.span.p, v.span.n);
    ERR_TRY(wire_expect_key(&r, "hash", WIRE_BYTES, &v, e));
    if (v.span.n != sizeof d->hash)
        return wire_bad(&r, v.span.p, e, "hash is no hash");
    memcpy(d->hash, v.span.p, sizeof d->hash);
    ERR_TRY(wire_expect_key(&r, "when", WIRE_UINT, &v, e));
    if (v.u > (uint64_t)WIRE_TIME_MAX_MS)
        return wire_bad(&r, r.p, e, "when is no time");
    d->when_ms = (int64_t)v.u;
    ERR_TRY(wire_expect_name(&r, "files", e));
    ERR_TRY(next_files(d, &r, e));
    if (!wire_end(&r))
        return wire_bad(&r, r.p, e, "bytes behind the files");
    wire_sha256(d->file[0].content.p, d->file[0].content.n, hash);
    return memcmp(hash, d->hash, sizeof hash) == 0
               ? ST_OK
               : err_set(e, ST_BAD, "the hash is not that of the configuration");
}

enum st wire_deposit_open(struct wire_deposit *d, struct wire_cose *cose, const void *p, size_t n,
                          struct err *e)
{
    *d = (struct wire_deposit){.nfiles = 0};
    ERR_TRY(wire_answer_open(WIRE_TYPE_CONFIG, cose, d->kid, p, n, e));
    return open_payload(d, cose->payload, e);
}
