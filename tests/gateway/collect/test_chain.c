/* The walk along a device's SunSpec models: chains as devices have them, chains without sense, and
 * any bytes at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/collect/sunspec_int.h"

#define SPACE 65536u
#define READS_MAX (COLLECT_BASES + 2 * COLLECT_CHAIN_MAX + 2)

static uint16_t space[SPACE];
static bool there[SPACE]; /* what is not is refused */

static void clear(void)
{
    memset(space, 0, sizeof space);
    memset(there, 0, sizeof there);
}

static unsigned put(unsigned at, unsigned n, ...)
{
    va_list words;
    va_start(words, n);
    for (unsigned i = 0; i < n; i++) {
        space[at + i] = (uint16_t)va_arg(words, unsigned);
        there[at + i] = true;
    }
    va_end(words);
    return at + n;
}

/* A head and what it says of its length. */
static unsigned model(unsigned at, unsigned id, unsigned length)
{
    for (unsigned i = 0; i < length && at + 2 + i < SPACE; i++)
        there[at + 2 + i] = true;
    return put(at, 2, id, length) + length;
}

/* How many reads it took. */
static unsigned walk(struct collect_walk *w, unsigned base)
{
    uint16_t at, count;
    unsigned reads = 0;
    collect_walk_begin(w, base);
    while (collect_walk_next(w, &at, &count)) {
        uint8_t data[4] = {0};
        bool all = true;
        assert_true(count == 1 || count == 2);
        assert_true(at + count <= SPACE);
        for (unsigned i = 0; i < count; i++) {
            data[2 * i] = (uint8_t)(space[at + i] >> 8);
            data[2 * i + 1] = (uint8_t)space[at + i];
            all &= there[at + i];
        }
        collect_walk_heard(w, all ? data : NULL);
        assert_true(++reads <= READS_MAX);
    }
    return reads;
}

static void is(const struct collect_walk *w, size_t i, unsigned id, unsigned address,
               unsigned length)
{
    assert_int_equal(w->state, COLLECT_WALK_DONE);
    assert_true(i < w->chain.n);
    assert_int_equal(w->chain.models[i].id, id);
    assert_int_equal(w->chain.models[i].address, address);
    assert_int_equal(w->chain.models[i].length, length);
}

static void wrong(const char *words)
{
    struct collect_walk w;
    (void)walk(&w, 0);
    assert_int_equal(w.state, COLLECT_WALK_BAD);
    if (!strstr(w.why, words))
        fail_msg("\"%s\" is not said: %s", words, w.why);
}

static void the_chain_is_found_at_each_of_its_three_places(void **state)
{
    struct collect_walk w;
    (void)state;
    for (unsigned b = 0; b < COLLECT_BASES; b++)
        for (unsigned first = 0; first < COLLECT_BASES; first++) {
            unsigned base = collect_bases[b];
            clear();
            unsigned at = put(base, 2, 0x5375, 0x6E53);
            at = model(at, 1, 65);
            at = model(at, 103, 50);
            (void)put(at, 2, 0xFFFF, 0);
            (void)walk(&w, first);
            assert_int_equal(w.chain.base, base);
            assert_int_equal(w.base, b); /* where the next look begins */
            assert_int_equal(w.chain.n, 2);
            is(&w, 0, 1, base + 2, 65);
            is(&w, 1, 103, base + 69, 50);
        }
}

static void a_model_that_nobody_knows_is_passed_by_its_length(void **state)
{
    struct collect_walk w;
    (void)state;
    clear();
    unsigned at = model(put(40000, 2, 0x5375, 0x6E53), 1, 66);
    at = model(at, 64110, 301);
    at = model(at, 160, 48);
    space[at - 50 + 8] = 2;
    at = model(at, 203, 105);
    (void)put(at, 2, 0xFFFF, 0);
    (void)walk(&w, 0);
    assert_int_equal(w.chain.n, 4);
    is(&w, 1, 64110, 40070, 301);
    is(&w, 2, 160, 40373, 48);
    is(&w, 3, 203, 40423, 105);
    assert_int_equal(w.chain.models[2].blocks, 2);
    assert_int_equal(w.chain.models[3].blocks, 0);
}

static void blocks_are_no_more_than_the_model_has_room_for(void **state)
{
    static const unsigned said[] = {0, 1, 2, 3, 4, 65535}, blocks[] = {0, 1, 2, 3, 3, 3};
    struct collect_walk w;
    (void)state;
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        clear();
        unsigned at = put(0, 2, 0x5375, 0x6E53);
        unsigned end = model(at, 160, 8 + 3 * 20 + 5);
        space[at + 8] = (uint16_t)said[i];
        (void)put(end, 2, 0xFFFF, 0);
        (void)walk(&w, 0);
        is(&w, 0, 160, 2, 73);
        assert_int_equal(w.chain.models[0].blocks, blocks[i]);
    }
    clear(); /* too short for its own count, which is not read then */
    (void)put(model(put(0, 2, 0x5375, 0x6E53), 160, 3), 2, 0xFFFF, 0);
    (void)walk(&w, 0);
    is(&w, 0, 160, 2, 3);
    assert_int_equal(w.chain.models[0].blocks, 0);
}

static void a_chain_without_sense_is_refused_in_words(void **state)
{
    (void)state;
    clear();
    wrong("\"SunS\" stands neither at 40000 nor at 0 or 50000");
    (void)put(40000, 2, 0x5375, 0x6E54); /* nearly */
    wrong("stands neither");
    clear();
    (void)put(40000, 4, 0x5375, 0x6E53, 0xFFFF, 0);
    wrong("is empty");
    (void)put(40002, 2, 1, 65535);
    wrong("model 1 at address 40002 cannot be 65535 registers long");
    (void)put(40002, 2, 1, 25531); /* its end is the last address, and no head fits behind */
    wrong("model 1 at address 40002 cannot be 25531 registers long");
    (void)put(40002, 2, 1, 100);
    wrong("it refuses address 40104");
    (void)put(40104, 2, 0, 0);
    wrong("at address 40104 there is no model");
    clear();
    unsigned at = put(0, 2, 0x5375, 0x6E53);
    for (unsigned i = 0; i < 70; i++)
        at = model(at, 64000 + i, i % 3);
    wrong("has no end: more than 64");
}

static void the_longest_chain_ends_at_the_last_address(void **state)
{
    struct collect_walk w;
    (void)state;
    clear();
    (void)put(0, 4, 0x5375, 0x6E53, 7, 65530);
    (void)put(65534, 2, 0xFFFF, 0);
    (void)walk(&w, 0); /* 40000 is refused, then 0 */
    is(&w, 0, 7, 2, 65530);
}

/* The mark of the end is the last register that the device has. */
static void an_end_without_a_length_is_an_end(void **state)
{
    struct collect_walk w;
    (void)state;
    clear();
    (void)put(model(put(40000, 2, 0x5375, 0x6E53), 1, 66), 1, 0xFFFF);
    (void)walk(&w, 0);
    is(&w, 0, 1, 40002, 66);
    assert_int_equal(w.chain.n, 1);
    space[40070] = 103; /* a model of which there is but the number */
    wrong("it refuses address 40070");
}

/* ---- any chain, any bytes -------------------------------------------------------------------- */

static uint64_t random_state;
static unsigned below(unsigned n)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (unsigned)(random_state >> 33) % n;
}

static void every_chain_is_walked_as_it_was_laid(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        struct collect_model laid[COLLECT_CHAIN_MAX];
        struct collect_walk w;
        unsigned base = collect_bases[below(COLLECT_BASES)], n = 1 + below(COLLECT_CHAIN_MAX);
        clear();
        unsigned at = put(base, 2, 0x5375, 0x6E53);
        for (unsigned i = 0; i < n; i++) {
            unsigned id = 161 + below(65535 - 161), length = below(200);
            laid[i] = (struct collect_model){
                .id = (uint16_t)id, .length = (uint16_t)length, .address = (uint16_t)at};
            at = model(at, id, length);
        }
        (void)put(at, 2, 0xFFFF, below(65536));
        (void)walk(&w, below(COLLECT_BASES));
        assert_int_equal(w.state, COLLECT_WALK_DONE);
        assert_int_equal(w.chain.base, base);
        assert_int_equal(w.chain.n, n);
        assert_memory_equal(w.chain.models, laid, n * sizeof *laid);
    }
}

/* Whatever comes: it ends, and what it found lies in order within the space of addresses. */
static void any_words_end_the_walk_with_models_in_order(void **state)
{
    unsigned done = 0;
    (void)state;
    for (unsigned round = 0; round < 300; round++) {
        struct collect_walk w;
        unsigned odd = 1 + below(40);
        for (unsigned i = 0; i < SPACE; i++) {
            space[i] = (uint16_t)(below(odd) == 0 ? 0xFFFF : below(4) == 0 ? 160 : below(300));
            there[i] = below(2000) > 0;
        }
        for (unsigned b = 0; b < COLLECT_BASES; b++)
            if (below(3) > 0)
                (void)put(collect_bases[b], 2, 0x5375, 0x6E53);
        (void)walk(&w, below(COLLECT_BASES));
        assert_true(w.state == COLLECT_WALK_BAD ? w.why[0] != '\0'
                                                : w.state == COLLECT_WALK_DONE && w.chain.n > 0);
        unsigned end = w.chain.base + 2u;
        for (size_t i = 0; i < w.chain.n; i++) {
            const struct collect_model *m = &w.chain.models[i];
            assert_int_equal(m->address, end);
            end += 2u + m->length;
            assert_true(end <= 65534);
        }
        done += w.state == COLLECT_WALK_DONE;
    }
    assert_true(done > 20 && done < 300);
}

/* ---- which model a point is of ----------------------------------------------------------------
 */

static void each_instance_has_the_common_model_before_it(void **state)
{
    /* an inverter and two meters behind it, as SolarEdge lays them */
    const struct collect_chain c = {.n = 6,
                                    .models = {{.id = 1, .address = 2},
                                               {.id = 103, .address = 69},
                                               {.id = 1, .address = 121},
                                               {.id = 203, .address = 188},
                                               {.id = 1, .address = 295},
                                               {.id = 201, .address = 362}}};
    int64_t meters[] = {201, 203}, common[] = {1}, none[] = {160};
    const struct cfg_ints m = {meters, 2}, one = {common, 1}, no = {none, 1};
    (void)state;
    assert_int_equal(collect_chain_find(&c, &m, 1, 0)->address, 188);
    assert_int_equal(collect_chain_find(&c, &m, 2, 0)->address, 362);
    assert_null(collect_chain_find(&c, &m, 3, 0));
    assert_null(collect_chain_find(&c, &no, 1, 0));
    assert_int_equal(collect_chain_find(&c, &one, 1, 1)->address, 2);
    assert_int_equal(collect_chain_find(&c, &one, 1, 3)->address, 121);
    assert_int_equal(collect_chain_find(&c, &one, 2, 5)->address, 295);
    assert_int_equal(collect_chain_find(&c, &one, 1, 0)->address, 2);
}

int main(void)
{
    const char *seed = getenv("FP_SEED");
    random_state = seed ? strtoull(seed, NULL, 0) | 1 : 20261126;
    (void)fprintf(stderr, "FP_SEED=%llu\n", (unsigned long long)random_state);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_chain_is_found_at_each_of_its_three_places),
        cmocka_unit_test(a_model_that_nobody_knows_is_passed_by_its_length),
        cmocka_unit_test(blocks_are_no_more_than_the_model_has_room_for),
        cmocka_unit_test(a_chain_without_sense_is_refused_in_words),
        cmocka_unit_test(the_longest_chain_ends_at_the_last_address),
        cmocka_unit_test(an_end_without_a_length_is_an_end),
        cmocka_unit_test(every_chain_is_walked_as_it_was_laid),
        cmocka_unit_test(any_words_end_the_walk_with_models_in_order),
        cmocka_unit_test(each_instance_has_the_common_model_before_it),
    };
    return cmocka_run_group_tests_name("chain", tests, NULL, NULL);
}
