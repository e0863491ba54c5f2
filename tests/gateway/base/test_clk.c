/* What a clock is worth: the judgement on made-up looks, and the machine's files on a made-up tree.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "gateway/base/clk.h"
#include "tests/support/temp.h"

#define BUILT INT64_C(1780000000000)
#define NOW INT64_C(1790000000000)
#define DAY INT64_C(86400000)

static bool nobody(void *ctx, int64_t utc_ms)
{
    (void)ctx;
    (void)utc_ms;
    return false;
}

static bool an_rtc(void *ctx, int64_t utc_ms)
{
    return llabs(*(const int64_t *)ctx - utc_ms) < 60000;
}

static struct clk_judge without_rtc(void)
{
    return (struct clk_judge){.built_ms = BUILT, .vouched = nobody};
}

static struct clk_time look(struct clk_judge *j, int64_t utc_ms, int64_t boot_ms, bool synced)
{
    struct clk_look x = {utc_ms, boot_ms, synced, 300};
    return clk_judge(j, &x);
}

static void assert_unknown(struct clk_time t, int64_t boot_ms)
{
    assert_int_equal(t.grade, CLK_UNKNOWN);
    assert_int_equal(t.utc_ms, CLK_UNKNOWN_BASE_MS + boot_ms);
}

static void H1_a_boot_at_1970_is_unknown_until_it_syncs(void **state)
{
    (void)state;
    struct clk_judge j = without_rtc();
    assert_unknown(look(&j, 20000, 20000, false), 20000);
    assert_unknown(look(&j, 30000, 30000, true), 30000); /* whatever the kernel believes */
    struct clk_time t = look(&j, NOW, 40000, true);
    assert_int_equal(t.grade, CLK_SYNCED);
    assert_int_equal(t.utc_ms, NOW);
    assert_int_equal(t.err_ms, 300);
    t = look(&j, NOW + 1000, 41000, false);
    assert_int_equal(t.grade, CLK_HOLDOVER);
    assert_int_equal(t.err_ms, CLK_HOLDOVER_ERR_MS);
}

static void a_saved_date_is_no_time(void **state)
{
    (void)state;
    struct clk_judge j = without_rtc(); /* fake-hwclock: plausible, and days behind */
    assert_unknown(look(&j, NOW, 20000, false), 20000);
    assert_unknown(look(&j, NOW + DAY, 20000 + DAY, false), 20000 + DAY);
}

static void a_date_set_while_we_look_counts_until_it_is_lost(void **state)
{
    (void)state;
    struct clk_judge j = without_rtc();
    assert_unknown(look(&j, 20000, 20000, false), 20000);
    assert_int_equal(look(&j, NOW, 21000, false).grade, CLK_HOLDOVER);
    assert_int_equal(look(&j, NOW + 1000, 22000, false).grade, CLK_HOLDOVER);
    assert_unknown(look(&j, 5000, 23000, false), 23000);
    assert_int_equal(look(&j, NOW + 3000, 24000, false).grade, CLK_HOLDOVER);
}

static void an_rtc_counts_while_it_agrees(void **state)
{
    (void)state;
    int64_t rtc_ms = NOW + 2000;
    struct clk_judge j = {.built_ms = BUILT, .vouched = an_rtc, .ctx = &rtc_ms};
    assert_int_equal(look(&j, NOW, 20000, false).grade, CLK_HOLDOVER);
    rtc_ms = BUILT - DAY; /* a dead battery, and a saved date on top */
    struct clk_judge dead = {.built_ms = BUILT, .vouched = an_rtc, .ctx = &rtc_ms};
    assert_unknown(look(&dead, NOW, 20000, false), 20000);
}

static void a_clock_before_what_is_stored_is_unknown_unless_synced(void **state)
{
    (void)state;
    int64_t rtc_ms = NOW;
    struct clk_judge j = {
        .built_ms = BUILT, .past = {.newest_ms = NOW + DAY}, .vouched = an_rtc, .ctx = &rtc_ms};
    assert_unknown(look(&j, NOW, 20000, false), 20000);
    assert_unknown(look(&j, NOW + 3600000, 21000, false), 21000); /* set, but still before it */
    assert_int_equal(look(&j, NOW, 22000, true).grade, CLK_SYNCED);
}

static void a_restart_keeps_what_this_boot_of_the_machine_knew(void **state)
{
    (void)state;
    struct clk_judge j = without_rtc();
    j.past = (struct clk_past){NOW + DAY, true, NOW - 20000};
    assert_int_equal(look(&j, NOW + 5000, 25000, false).grade, CLK_HOLDOVER);
    struct clk_judge other = without_rtc(); /* set in our absence */
    other.past = (struct clk_past){NOW - DAY, true, NOW - 20000};
    assert_int_equal(look(&other, NOW + DAY, 25000, false).grade, CLK_HOLDOVER);
    struct clk_judge back = without_rtc(); /* set back behind what is stored */
    back.past = (struct clk_past){NOW, true, NOW - 20000};
    assert_unknown(look(&back, NOW - DAY, 25000, false), 25000);
}

static void put(const char *root, const char *dir, const char *name, const char *text)
{
    char path[512];
    for (const char *p = dir; p; p = strchr(p + 1, '/')) {
        const char *end = strchr(p + 1, '/');
        snprintf(path, sizeof path, "%s%.*s", root, end ? (int)(end - dir) : (int)strlen(dir), dir);
        (void)mkdir(path, 0755);
    }
    snprintf(path, sizeof path, "%s%s/%s", root, dir, name);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void the_machine_s_own_clock_is_found(void **state)
{
    (void)state;
    char *root = temp_make();
    assert_non_null(root);
    assert_false(clk_vouched(root, NOW));
    put(root, "/proc", "cpuinfo", "processor\t: 0\nCPU implementer\t: 0x41\n");
    assert_false(clk_vouched(root, NOW)); /* a board without RTC */
    put(root, "/proc", "cpuinfo", "processor\t: 0\nvendor_id\t: GenuineIntel\n");
    assert_true(clk_vouched(root, NOW)); /* a PC, or its virtual machine */
    put(root, "/sys/class/rtc/rtc0", "hctosys", "0\n");
    put(root, "/sys/class/rtc/rtc0", "since_epoch", "1790000000\n");
    assert_false(clk_vouched(root, NOW)); /* the date did not come from it */
    put(root, "/sys/class/rtc/rtc1", "hctosys", "1\n");
    put(root, "/sys/class/rtc/rtc1", "since_epoch", "1790000003\n");
    assert_true(clk_vouched(root, NOW));
    put(root, "/sys/class/rtc/rtc1", "since_epoch", "946684800\n");
    assert_false(clk_vouched(root, NOW)); /* 2000-01-01: its battery is empty */
    temp_done(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(H1_a_boot_at_1970_is_unknown_until_it_syncs),
        cmocka_unit_test(a_saved_date_is_no_time),
        cmocka_unit_test(a_date_set_while_we_look_counts_until_it_is_lost),
        cmocka_unit_test(an_rtc_counts_while_it_agrees),
        cmocka_unit_test(a_clock_before_what_is_stored_is_unknown_unless_synced),
        cmocka_unit_test(a_restart_keeps_what_this_boot_of_the_machine_knew),
        cmocka_unit_test(the_machine_s_own_clock_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
