/* What the gateway makes of a signing process that is not what it should be: nothing that it says
 * gets into a batch unchecked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gateway/signer/signer_int.h"
#include "tests/support/temp.h"

static enum lie { WRONG_SIGNATURE, OTHER_ID, SHORT, OTHER_KEY, DIES } lie;

/* In the place of the keeper and of the signing process. */
void __wrap_signer_keep(int fd, const char *key, const char *next) __attribute__((noreturn));
void __wrap_signer_keep(int fd, const char *key, const char *next)
{
    (void)next;
    struct wire_key *k = NULL;
    struct signer_say say = {.kind = SIGNER_READY};
    struct signer_ask ask;
    if (wire_key_load(&k, key, NULL) != ST_OK)
        _exit(1);
    memcpy(say.now, wire_pub_der(wire_key_pub(k)).p, SIGNER_SPKI);
    if (!signer_tell(fd, &say))
        _exit(1);
    while (recv(fd, &ask, sizeof ask, 0) == (ssize_t)sizeof ask) {
        const struct wire_signer *w = wire_key_signer(k);
        say = (struct signer_say){.id = ask.id, .kind = SIGNER_SIGNED};
        if (lie == DIES)
            _exit(1);
        if (w->sign(w->ctx, ask.hash, say.sig, NULL) != ST_OK)
            _exit(1);
        if (lie == WRONG_SIGNATURE)
            say.sig[5] ^= 1;
        if (lie == OTHER_ID ||
            lie == SHORT) { /* first one that is for nobody, then the right one */
            struct signer_say first = say;
            memset(first.sig, 7, sizeof first.sig);
            first.id = ask.id - 1;
            if (lie == OTHER_ID ? !signer_tell(fd, &first) : send(fd, &first, 40, 0) != 40)
                _exit(1);
        }
        if (lie == OTHER_KEY) {
            struct signer_say ready = {.kind = SIGNER_READY};
            memcpy(ready.now, wire_pub_der(wire_key_pub(k)).p, SIGNER_SPKI);
            ready.now[80] ^= 1;
            (void)signer_tell(fd, &ready);
        }
        (void)signer_tell(fd, &say);
    }
    _exit(0);
}

static enum st told(enum lie what, uint8_t sig[64], struct err *e)
{
    char *dir = temp_make(), key[256];
    struct signer *s = NULL;
    uint8_t hash[32] = {1};
    assert_non_null(dir);
    snprintf(key, sizeof key, "%s/device.key", dir);
    assert_int_equal(wire_key_make(key, e), ST_OK);
    lie = what;
    if (signer_fork(&s, key, NULL, e) != ST_OK)
        fail_msg("%s", e->text);
    const struct wire_signer *w = signer_now(s);
    enum st st = w->sign(w->ctx, hash, sig, e);
    if (st == ST_OK)
        assert_int_equal(wire_pub_check(w->pub, hash, sig, e), ST_OK);
    signer_close(s);
    temp_done(dir);
    return st;
}

static void a_wrong_signature_is_no_signature(void **state)
{
    uint8_t sig[64] = {0}, none[64] = {0};
    struct err e = {.text = ""};
    (void)state;
    assert_int_equal(told(WRONG_SIGNATURE, sig, &e), ST_CORRUPT);
    assert_memory_equal(sig, none, sizeof sig);
}

static void an_answer_to_another_question_is_for_nobody(void **state)
{
    uint8_t sig[64];
    struct err e = {.text = ""};
    (void)state;
    assert_int_equal(told(OTHER_ID, sig, &e), ST_OK);
}

static void a_message_of_another_size_ends_it(void **state)
{
    uint8_t sig[64];
    struct err e = {.text = ""};
    (void)state;
    assert_int_equal(told(SHORT, sig, &e), ST_IO);
}

static void another_key_in_the_middle_is_refused(void **state)
{
    uint8_t sig[64];
    struct err e = {.text = ""};
    (void)state;
    assert_int_equal(told(OTHER_KEY, sig, &e), ST_CONFLICT);
}

static void a_keeper_that_ends_is_told(void **state)
{
    uint8_t sig[64];
    struct err e = {.text = ""};
    (void)state;
    assert_int_equal(told(DIES, sig, &e), ST_IO);
    assert_non_null(strstr(e.text, "restart the gateway"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wrong_signature_is_no_signature),
        cmocka_unit_test(an_answer_to_another_question_is_for_nobody),
        cmocka_unit_test(a_message_of_another_size_ends_it),
        cmocka_unit_test(another_key_in_the_middle_is_refused),
        cmocka_unit_test(a_keeper_that_ends_is_told),
    };
    return cmocka_run_group_tests_name("a lying signer", tests, NULL, NULL);
}
