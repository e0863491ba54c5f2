/* A key in a PKCS#11 token, named by an RFC 7512 URI. The module runs in the process that signs and
 * in no other. The PIN comes from a file alone: a configuration is read by many. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <p11-kit/p11-kit.h>
#include <p11-kit/uri.h>

#include "gateway/signer/signer_int.h"

#define SLOTS_MAX 64
#define PIN_MAX 256
#define POINT_BYTES 65

struct signer_token {
    CK_FUNCTION_LIST *m;
    CK_SESSION_HANDLE session;
    CK_OBJECT_HANDLE key;
    bool ready; /* the module is initialised */
    struct wire_pub *pub;
    struct wire_signer w;
};

static enum st fail(CK_RV rv, const char *what, struct err *e)
{
    return err_set(e, ST_IO, "token: %s: %s", what, p11_kit_strerror(rv));
}

/* ---- the PIN ---- */

static enum st read_pin(const char *path, char pin[PIN_MAX], struct err *e)
{
    struct stat sb;
    if (strncmp(path, "file:", 5) == 0)
        path += 5;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ST_IO, "token: pin-source %s: %s", path, strerror(errno));
    ssize_t n = fstat(fd, &sb) == 0 ? read(fd, pin, PIN_MAX - 1) : -1;
    (void)close(fd);
    if (n >= 0 && (sb.st_mode & (S_IRWXG | S_IRWXO)))
        return err_set(e, ST_REFUSED, "token: others can read the PIN in %s; chmod 600 %s", path,
                       path);
    if (n < 0 || n == PIN_MAX - 1)
        return err_set(e, ST_IO, "token: pin-source %s cannot be read, or is no PIN", path);
    pin[n] = '\0';
    pin[strcspn(pin, "\r\n")] = '\0';
    return ST_OK;
}

/* A wrong PIN is not tried again: that would lock the token. */
static enum st login(struct signer_token *t, P11KitUri *u, struct err *e)
{
    char pin[PIN_MAX];
    const char *source = p11_kit_uri_get_pin_source(u);
    if (!source)
        return err_set(e, ST_BAD, "token: seal.key names no pin-source=file:PATH");
    enum st st = read_pin(source, pin, e);
    if (st == ST_OK) {
        CK_RV rv = t->m->C_Login(t->session, CKU_USER, (unsigned char *)pin, (CK_ULONG)strlen(pin));
        if (rv != CKR_OK && rv != CKR_USER_ALREADY_LOGGED_IN)
            st = err_set(e, ST_REFUSED, "token: login with the PIN of %s: %s", source,
                         p11_kit_strerror(rv));
    }
    explicit_bzero(pin, sizeof pin);
    return st;
}

/* ---- what the URI names ---- */

static enum st find_slot(struct signer_token *t, P11KitUri *u, CK_SLOT_ID *slot, struct err *e)
{
    CK_SLOT_ID slots[SLOTS_MAX];
    CK_ULONG n = SLOTS_MAX, found = 0;
    CK_RV rv = t->m->C_GetSlotList(CK_TRUE, slots, &n);
    if (rv != CKR_OK)
        return fail(rv, "its slots", e);
    for (CK_ULONG i = 0; i < n; i++) {
        CK_TOKEN_INFO info;
        if (t->m->C_GetTokenInfo(slots[i], &info) == CKR_OK &&
            p11_kit_uri_match_token_info(u, &info)) {
            *slot = slots[i];
            found++;
        }
    }
    if (found == 1)
        return ST_OK;
    return err_set(e, found ? ST_CONFLICT : ST_NOT_FOUND,
                   found ? "token: seal.key fits more than one token: name its serial"
                         : "token: there is none as seal.key names it: see `pkcs11-tool -L`");
}

/* The one object of that class that has what `want` says. */
static enum st find_one(struct signer_token *t, CK_OBJECT_CLASS class, const CK_ATTRIBUTE *want,
                        size_t nwant, CK_OBJECT_HANDLE *out, struct err *e)
{
    CK_ATTRIBUTE all[3] = {{CKA_CLASS, &class, sizeof class}};
    CK_OBJECT_HANDLE found[2];
    CK_ULONG n = 0;
    const char *what = class == CKO_PRIVATE_KEY ? "private key" : "public key";
    memcpy(all + 1, want, nwant * sizeof *want);
    CK_RV rv = t->m->C_FindObjectsInit(t->session, all, 1 + nwant);
    if (rv == CKR_OK) {
        rv = t->m->C_FindObjects(t->session, found, 2, &n);
        (void)t->m->C_FindObjectsFinal(t->session);
    }
    if (rv != CKR_OK)
        return fail(rv, what, e);
    if (n != 1)
        return err_set(e, n ? ST_CONFLICT : ST_NOT_FOUND, "token: %s %s that seal.key names: %s",
                       n ? "more than one" : "no", what,
                       n ? "name its id, too"
                         : "make it with `pkcs11-tool --keypairgen --key-type EC:prime256v1`");
    *out = found[0];
    return ST_OK;
}

static enum st find_key(struct signer_token *t, P11KitUri *u, struct err *e)
{
    CK_ATTRIBUTE want[2];
    size_t n = 0;
    static const CK_ATTRIBUTE_TYPE by[] = {CKA_LABEL, CKA_ID};
    for (size_t i = 0; i < 2; i++) {
        const CK_ATTRIBUTE *a = p11_kit_uri_get_attribute(u, by[i]);
        if (a)
            want[n++] = *a;
    }
    if (n == 0)
        return err_set(e, ST_BAD, "token: seal.key names no object= and no id=");
    return find_one(t, CKO_PRIVATE_KEY, want, n, &t->key, e);
}

static enum st get(struct signer_token *t, CK_OBJECT_HANDLE o, CK_ATTRIBUTE *a, const char *what,
                   struct err *e)
{
    CK_RV rv = t->m->C_GetAttributeValue(t->session, o, a, 1);
    return rv == CKR_OK ? ST_OK : fail(rv, what, e);
}

/* The public key stands beside the private one, under the same id. */
static enum st find_pub(struct signer_token *t, struct err *e)
{
    unsigned char id[256], point[128];
    CK_OBJECT_HANDLE o = 0;
    CK_ATTRIBUTE of_id = {CKA_ID, id, sizeof id};
    CK_ATTRIBUTE of_point = {CKA_EC_POINT, point, sizeof point};
    ERR_TRY(get(t, t->key, &of_id, "the private key's id", e));
    ERR_TRY(find_one(t, CKO_PUBLIC_KEY, &of_id, 1, &o, e));
    ERR_TRY(get(t, o, &of_point, "the public key", e));
    /* a DER OCTET STRING; some tokens leave its head out */
    const unsigned char *p = point;
    size_t n = of_point.ulValueLen;
    if (n == POINT_BYTES + 2 && p[0] == 0x04 && p[1] == POINT_BYTES) {
        p += 2;
        n -= 2;
    }
    if (n != POINT_BYTES)
        return err_set(e, ST_BAD, "token: not a P-256 key");
    return wire_pub_point(&t->pub, p, e);
}

static enum st token_sign(void *ctx, const uint8_t hash[WIRE_HASH_BYTES], uint8_t sig[64],
                          struct err *e)
{
    struct signer_token *t = ctx;
    unsigned char message[WIRE_HASH_BYTES];
    CK_MECHANISM ecdsa = {CKM_ECDSA, NULL, 0};
    CK_ULONG n = 64;
    memcpy(message, hash, sizeof message);
    CK_RV rv = t->m->C_SignInit(t->session, &ecdsa, t->key);
    if (rv == CKR_OK)
        rv = t->m->C_Sign(t->session, message, sizeof message, sig, &n);
    if (rv != CKR_OK)
        return fail(rv, "it does not sign", e);
    return n == 64 ? ST_OK : err_set(e, ST_IO, "token: a signature of %lu bytes", (unsigned long)n);
}

/* ---- open, close ---- */

bool signer_is_token(const char *key)
{
    return strncmp(key, "pkcs11:", 7) == 0;
}

static enum st open_module(struct signer_token *t, P11KitUri *u, struct err *e)
{
    const char *path = p11_kit_uri_get_module_path(u);
    if (!path || path[0] != '/')
        return err_set(e, ST_BAD, "token: seal.key names no module-path=/…");
    t->m = p11_kit_module_load(path, 0);
    if (!t->m)
        return err_set(e, ST_NOT_FOUND, "token: %s: %s", path, p11_kit_message());
    CK_RV rv = p11_kit_module_initialize(t->m);
    t->ready = rv == CKR_OK;
    return rv == CKR_OK ? ST_OK : fail(rv, path, e);
}

static enum st open_token(struct signer_token *t, P11KitUri *u, struct err *e)
{
    CK_SLOT_ID slot = 0;
    if (p11_kit_uri_get_pin_value(u))
        return err_set(e, ST_REFUSED,
                       "token: a PIN does not belong into seal.key: write it into a "
                       "file of mode 0600 and name that as pin-source=file:PATH");
    ERR_TRY(open_module(t, u, e));
    ERR_TRY(find_slot(t, u, &slot, e));
    CK_RV rv = t->m->C_OpenSession(slot, CKF_SERIAL_SESSION, NULL, NULL, &t->session);
    if (rv != CKR_OK)
        return fail(rv, "no session", e);
    ERR_TRY(login(t, u, e));
    ERR_TRY(find_key(t, u, e));
    return find_pub(t, e);
}

enum st signer_token_open(struct signer_token **out, const char *uri, struct err *e)
{
    struct signer_token *t = calloc(1, sizeof *t);
    P11KitUri *u = p11_kit_uri_new();
    enum st st = ST_OK;
    if (!t || !u)
        st = err_set(e, ST_MEMORY, "token: no memory");
    int rc = st == ST_OK ? p11_kit_uri_parse(uri, P11_KIT_URI_FOR_ANY, u) : P11_KIT_URI_OK;
    if (st == ST_OK && (rc != P11_KIT_URI_OK || p11_kit_uri_any_unrecognized(u)))
        st = err_set(e, ST_BAD, "token: seal.key is no pkcs11: URI (RFC 7512)");
    if (st == ST_OK)
        st = open_token(t, u, e);
    if (u)
        p11_kit_uri_free(u);
    if (st != ST_OK) {
        signer_token_close(t);
        return st;
    }
    t->w = (struct wire_signer){t->pub, token_sign, t};
    *out = t;
    return ST_OK;
}

const struct wire_signer *signer_token_signer(const struct signer_token *t)
{
    return &t->w;
}

void signer_token_close(struct signer_token *t)
{
    if (!t)
        return;
    wire_pub_free(t->pub);
    if (t->ready)
        (void)p11_kit_module_finalize(t->m);
    if (t->m)
        p11_kit_module_release(t->m);
    free(t);
}
