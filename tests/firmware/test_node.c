/* A whole node over a port of the test's own: how soon it answers, a line with others on it, the
 * watchdog, and what no request can do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/firmware/ask.h"

/* ---- how soon ---------------------------------------------------------------------------------
 */

/* From the end of the frame's silence to the answer. The chips take all that they may, always. */
static void answer_comes_within_5_ms_whatever_a_sensor_does(void **state)
{
    (void)state;
    static const uint8_t q[] = {1, 3, 0, 0, 0, 125};
    uint64_t worst = 0;
    for (unsigned i = 0; i < 12; i++)
        (void)fake_add(water, 1);
    fake.board.nsensors = 8;
    for (unsigned i = 0; i < fake.board.nsensors; i++) {
        fake.does[i].takes_us = 2000;
        fake.does[i].collect = i % 2 ? ST_BUSY : ST_OK;
    }
    assert_true(fake_boot());
    for (unsigned i = 0; i < 300; i++) {
        unsigned sends = fake.sends;
        record_save(&fake.node.config.record);
        assert_true(fake_run(i * 37 % 2000));
        fake_ask(q, sizeof q);
        uint64_t end = fake.queue[fake.put - 1].at_us + fake.node.frame.t35_us;
        while (fake.sends == sends)
            assert_true(fake_run(100));
        if (fake.sent_us - end > worst)
            worst = fake.sent_us - end;
        assert_true(fake_run(300000));
    }
    (void)printf("the latest answer came %u us behind the silence\n", (unsigned)worst);
    assert_true(worst > 1000 && worst <= 5000);
}

static void answer_waits_for_the_silence(void **state)
{
    (void)state;
    static const uint8_t q[] = {1, 3, 0, 0, 0, 1};
    assert_true(fake_run(100000));
    for (unsigned i = 0; i < 50; i++) {
        unsigned sends = fake.sends;
        fake_ask(q, sizeof q);
        uint64_t end = fake.queue[fake.put - 1].at_us;
        while (fake.sends == sends)
            assert_true(fake_run(50));
        assert_true(fake.sent_us >= end + fake.node.frame.t35_us);
        assert_true(fake_run(50000));
    }
}

/* ---- a line with others -----------------------------------------------------------------------
 */

static void others_frames_and_noise_are_not_answered(void **state)
{
    (void)state;
    static const uint8_t ask_2[] = {2, 3, 0, 0, 0, 2}, says_2[] = {2, 3, 4, 1, 3, 0, 0};
    static const uint8_t noise[] = {0xFF, 0x00, 0x01, 0x03};
    for (unsigned i = 0; i < 50; i++) {
        fake_ask(ask_2, sizeof ask_2);
        fake_ask(says_2, sizeof says_2);
        fake_say(noise, 1 + i % 4, 5000 + i);
    }
    assert_true(fake_run(5 * SECOND));
    assert_int_equal(fake.sends, 0);
    assert_true(is_at(1));
    assert_int_equal(fake.node.slave.requests, 1);
}

/* A master that does not wait: requests with hardly a silence between them, for a minute. */
static void flood_neither_hangs_nor_fells_it(void **state)
{
    (void)state;
    uint8_t q[8] = {1, 3, 0, 0, 0, 40};
    uint16_t crc = fake_crc(q, 6);
    q[6] = (uint8_t)crc;
    q[7] = (uint8_t)(crc >> 8);
    fake.worst_feed_us = 0;
    for (unsigned i = 0; i < 1500; i++) {
        fake_say(q, sizeof q, i % 3 ? 0 : 4000 + i % 700);
        if (i % 20 == 0)
            assert_true(fake_run(10000));
        if (fake.put - fake.got > FAKE_QUEUE / 2)
            assert_true(fake_run(SECOND));
    }
    while (fake.got < fake.put)
        assert_true(fake_run(SECOND));
    assert_true(fake.worst_feed_us < SECOND);
    assert_true(fake_run(SECOND));
    assert_true(is_at(1));
    /* Nothing but zeroes, and nothing but ones, as a cut line may give. */
    uint8_t bytes[600];
    for (unsigned v = 0; v < 256; v += 255) {
        memset(bytes, (int)v, sizeof bytes);
        fake_say(bytes, sizeof bytes, 0);
        assert_true(fake_run(2 * SECOND));
        assert_true(is_at(1));
    }
}

/* The answer to one that is overtaken by the next frame would go into it. */
static void overtaken_request_is_not_answered(void **state)
{
    (void)state;
    static const uint8_t first[] = {1, 6, 0, 0, 0, 1}, second[] = {2, 3, 0, 0, 0, 1};
    assert_true(fake_run(100000));
    uint64_t requests = fake.node.slave.requests;
    fake_ask(first, sizeof first);
    fake_ask(second, sizeof second);
    fake.us = fake.queue[fake.put - 1].at_us + 20000; /* the loop was away for long */
    assert_true(fake_run(50000));
    assert_int_equal(fake.sends, 0);
    assert_int_equal(fake.node.slave.requests, requests);
}

static void cut_in_mid_frame_costs_that_frame(void **state)
{
    (void)state;
    uint8_t q[8] = {1, 3, 0, 0, 0, 1};
    uint16_t crc = fake_crc(q, 6);
    q[6] = (uint8_t)crc;
    q[7] = (uint8_t)(crc >> 8);
    for (size_t n = 1; n < sizeof q; n++) {
        fake_say(q, n, 5000);
        assert_true(fake_run(SECOND));
        assert_int_equal(fake.sends, n - 1);
        assert_true(is_at(1));
    }
}

static void by_content_there_is_no_silence_to_wait_for(void **state)
{
    (void)state;
    fake.board.by_content = true;
    fake.board.t35_us = 50000;
    assert_true(fake_boot());
    uint8_t q[8] = {1, 3, 0, 0, 0, 1};
    static const uint8_t other[] = {2, 3, 2, 0, 1, 0x3D};
    uint16_t crc = fake_crc(q, 6);
    q[6] = (uint8_t)crc;
    q[7] = (uint8_t)(crc >> 8);
    for (unsigned i = 0; i < 20; i++) {
        fake_say(other, sizeof other, 5000);
        fake_say(q, 4, 0);
        fake_say(q + 4, 4, 30000); /* the emulator was away */
        unsigned sends = fake.sends;
        uint64_t end = fake.queue[fake.put - 1].at_us;
        assert_true(fake_run(200000));
        assert_int_equal(fake.sends, sends + 1);
        assert_true(fake.sent_us < end + 3000);
    }
}

/* A request that comes while an answer is on its way, where a line goes both ways at once. */
static void request_during_an_answer_is_not_answered(void **state)
{
    (void)state;
    fake.board.by_content = true;
    fake.board.t35_us = 50000;
    assert_true(fake_boot());
    static const uint8_t q[] = {1, 3, 0, 0, 0, 100};
    fake_ask(q, sizeof q);
    fake_ask(q, sizeof q);
    assert_true(fake_run(100000));
    assert_int_equal(fake.sends, 1);
    assert_true(fake_run(SECOND));
    assert_true(is_at(1));
}

/* ---- the watchdog -----------------------------------------------------------------------------
 */

static void watchdog_is_fed_in_its_window(void **state)
{
    (void)state;
    assert_true(fake.watchdog);
    for (unsigned i = 0; i < 2; i++)
        fake.does[i].takes_us = 2000;
    assert_true(fake_run(20 * SECOND));
    assert_true(fake.feeds > 50);
    assert_true(fake.soonest_feed_us >= NODE_FEED_MS * 1000 - 1000);
    assert_true(fake.worst_feed_us < 2 * NODE_FEED_MS * 1000);
}

static void watchdog_starves_when_a_part_stands(void **state)
{
    (void)state;
    assert_true(fake_run(SECOND));
    assert_true(is_at(1));
    fake.hangs = true; /* an answer that is never over */
    assert_true(fake_run(NODE_SENDING_MS * 1000 + SECOND / 2));
    unsigned feeds = fake.feeds;
    assert_true(fake_run(10 * SECOND));
    assert_int_equal(fake.feeds, feeds);
    fake.hangs = false;
    assert_true(fake_run(SECOND));
    assert_true(fake.feeds > feeds);
    feeds = fake.feeds;
    for (unsigned i = 0; i < 100000; i++) /* the clock stands */
        (void)node_turn(&fake.node);
    assert_true(fake.feeds <= feeds + 1);
}

/* ---- whatever comes ---------------------------------------------------------------------------
 */

static uint32_t draws;

static uint32_t draw(void)
{
    draws = draws * 1664525U + 1013904223U;
    return draws >> 8;
}

/* All that a node keeps and shows, but for what counts requests. */
static uint32_t all_of(struct node *n)
{
    uint8_t two[2];
    uint32_t crc = node_crc32(0, (const uint8_t *)&n->config.kept, sizeof n->config.kept);
    struct slave_map map = node_map(n);
    for (unsigned at = 0; map.read(n, at, 1, two) == SLAVE_DONE; at++)
        crc = node_crc32(crc, two, sizeof two);
    return crc;
}

static void refused_writes_change_nothing(void **state)
{
    (void)state;
    const char *seed = getenv("FP_SEED");
    draws = seed ? (uint32_t)strtoul(seed, NULL, 10) : 1;
    (void)printf("FP_SEED=%lu\n", (unsigned long)draws);
    struct node *n = &fake.node;
    struct slave_map map = node_map(n);
    unsigned done = 0, refused = 0;
    assert_true(fake_run(SECOND));
    for (unsigned i = 0; i < 2000; i++) {
        unsigned count = draw() % 8 == 0 ? 1 + draw() % SLAVE_WRITE_MAX : 1 + draw() % 9;
        unsigned at = draw() % 4 ? 110 + draw() % 80 : 117 + draw() % 5;
        if (draw() % 4 == 0) { /* the serials and calibrations, whole */
            static const uint8_t whole[][2] = {{142, 8}, {156, 8}, {168, 2}, {168, 4}, {174, 2}};
            unsigned k = draw() % 5;
            at = whole[k][0];
            count = whole[k][1];
        }
        uint8_t *p = malloc(2 * count);
        assert_non_null(p);
        for (unsigned k = 0; k < 2 * count; k++)
            p[k] = (uint8_t)(k % 2 ? draw() % (draw() % 2 ? 6 : 256) : draw() % 16 ? 0 : draw());
        if (draw() % 4 == 0)
            memset(p, 'A' + (int)(draw() % 4), 2 * count);
        uint32_t before = all_of(n);
        enum slave_exception e = map.write(n, at, count, p, false);
        if (e != SLAVE_DONE)
            assert_int_equal(all_of(n), before);
        else
            assert_true(config_line_is_good(line_shown(&n->line)));
        done += e == SLAVE_DONE;
        refused += e != SLAVE_DONE;
        free(p);
    }
    (void)printf("%u written, %u refused\n", done, refused);
    assert_true(done > 200 && refused > 500);
}

static void every_range_reads_as_its_registers_do(void **state)
{
    (void)state;
    struct node *n = &fake.node;
    struct slave_map map = node_map(n);
    uint8_t one[600], many[SLAVE_READ_MAX * 2];
    unsigned size = 0;
    assert_true(fake_run(SECOND));
    while (map.read(n, size, 1, one + 2 * size) == SLAVE_DONE)
        size++;
    assert_int_equal(size, 181);
    for (unsigned at = 0; at <= size; at++) {
        for (unsigned count = 1; count <= SLAVE_READ_MAX; count++) {
            enum slave_exception e = map.read(n, at, count, many);
            assert_int_equal(e, at + count <= size ? SLAVE_DONE : SLAVE_ADDRESS);
            if (e == SLAVE_DONE)
                assert_memory_equal(many, one + 2 * at, 2 * count);
        }
    }
    assert_int_equal(map.read(n, 65535, 1, many), SLAVE_ADDRESS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(answer_comes_within_5_ms_whatever_a_sensor_does, start),
        cmocka_unit_test_setup(answer_waits_for_the_silence, start),
        cmocka_unit_test_setup(others_frames_and_noise_are_not_answered, start),
        cmocka_unit_test_setup(flood_neither_hangs_nor_fells_it, start),
        cmocka_unit_test_setup(overtaken_request_is_not_answered, start),
        cmocka_unit_test_setup(cut_in_mid_frame_costs_that_frame, start),
        cmocka_unit_test_setup(by_content_there_is_no_silence_to_wait_for, start),
        cmocka_unit_test_setup(request_during_an_answer_is_not_answered, start),
        cmocka_unit_test_setup(watchdog_is_fed_in_its_window, start),
        cmocka_unit_test_setup(watchdog_starves_when_a_part_stands, start),
        cmocka_unit_test_setup(refused_writes_change_nothing, start),
        cmocka_unit_test_setup(every_range_reads_as_its_registers_do, start),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
