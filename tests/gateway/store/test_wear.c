/* What the kernel says of the flash is read with bounds, and rates are told honestly. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "gateway/store/store_int.h"
#include "tests/support/temp.h"

#define HOUR INT64_C(3600000)

static void make(const char *root, const char *path, const char *text)
{
    char full[512];
    snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *p = full + strlen(root) + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = '\0';
        (void)mkdir(full, 0700);
        *p = '/';
    }
    if (!text)
        return;
    FILE *f = fopen(full, "w");
    assert_non_null(f);
    fputs(text, f);
    assert_int_equal(fclose(f), 0);
}

/* A sysfs with an eMMC whose second partition is 179:2. */
static char *emmc(const char *life, const char *pre_eol)
{
    char *root = temp_make(), to[512];
    assert_non_null(root);
    make(root, "devices/mmc0/block/mmcblk0/size", "30535680\n");
    make(root, "devices/mmc0/block/mmcblk0/mmcblk0p2/partition", "2\n");
    make(root, "devices/mmc0/block/mmcblk0/mmcblk0p2/size", "1000\n");
    if (life)
        make(root, "devices/mmc0/block/mmcblk0/device/life_time", life);
    if (pre_eol)
        make(root, "devices/mmc0/block/mmcblk0/device/pre_eol_info", pre_eol);
    make(root, "dev/block/", NULL);
    snprintf(to, sizeof to, "%s/dev/block/179:2", root);
    assert_int_equal(symlink("../../devices/mmc0/block/mmcblk0/mmcblk0p2", to), 0);
    return root;
}

static void an_emmc_is_read_through_its_partition(void **state)
{
    (void)state;
    struct store_wear w;
    char *root = emmc("0x02 0x0b\n", "0x03\n");
    store_wear_read(root, 179, 2, &w);
    assert_string_equal(w.device, "mmcblk0");
    assert_int_equal(w.capacity_bytes, INT64_C(30535680) * 512);
    assert_int_equal(w.life_percent[0], 20);
    assert_int_equal(w.life_percent[1], 110);
    assert_int_equal(w.pre_eol, 3);
    temp_done(root);
}

static void what_the_kernel_does_not_say_is_not_known(void **state)
{
    (void)state;
    static const struct {
        const char *life, *pre_eol;
        int a, b, eol;
    } cases[] = {
        {NULL, NULL, -1, -1, 0},
        {"0x00 0x00", "0x00", -1, -1, 0},
        {"0x01", "0x04", 10, -1, 0},
        {"0x0c 0x01", "-1", -1, -1, 0},
        {"garbage", "", -1, -1, 0},
        {"0x01 0xffffffffffffffffff", "0x1x", 10, -1, 0},
        {"0x0a 0x05 more", "1", 100, 50, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct store_wear w;
        char *root = emmc(cases[i].life, cases[i].pre_eol);
        store_wear_read(root, 179, 2, &w);
        assert_int_equal(w.life_percent[0], cases[i].a);
        assert_int_equal(w.life_percent[1], cases[i].b);
        assert_int_equal(w.pre_eol, cases[i].eol);
        store_wear_read(root, 8, 1, &w); /* no such device */
        assert_int_equal(w.capacity_bytes, 0);
        assert_string_equal(w.device, "");
        temp_done(root);
    }
}

static void the_kernels_count_of_writes_is_read(void **state)
{
    (void)state;
    char *root = temp_make(), path[512];
    snprintf(path, sizeof path, "%s/io", root);
    make(root, "io",
         "rchar: 1\nwchar: 2\nread_bytes: 3\nwrite_bytes: 123456\n"
         "cancelled_write_bytes: 9\n");
    assert_int_equal(store_wear_written(path), 123456);
    make(root, "io", "rchar: 1\nwrite_bytes: x\n");
    assert_int_equal(store_wear_written(path), -1);
    assert_int_equal(store_wear_written("/nonexistent"), -1);
    assert_true(store_wear_written("/proc/self/io") >= 0);
    temp_done(root);
}

static void a_day_forgets_what_is_older(void **state)
{
    (void)state;
    struct store_day d;
    int64_t window, start = -5 * HOUR / 2; /* monotonic time may lie before a boot */
    store_day_begin(&d, start);
    store_day_add(&d, start, 100);
    assert_int_equal(store_day_sum(&d, start + HOUR, &window), 100);
    assert_int_equal(window, HOUR);
    for (int64_t h = 1; h < 60; h++)
        store_day_add(&d, start + h * HOUR, 10);
    assert_int_equal(store_day_sum(&d, start + 59 * HOUR, &window), 240);
    assert_in_range(window, 23 * HOUR, 24 * HOUR);
    assert_int_equal(store_day_sum(&d, start + 70 * HOUR, &window), 130);
    assert_int_equal(store_day_sum(&d, start + 200 * HOUR, &window), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_emmc_is_read_through_its_partition),
        cmocka_unit_test(what_the_kernel_does_not_say_is_not_known),
        cmocka_unit_test(the_kernels_count_of_writes_is_read),
        cmocka_unit_test(a_day_forgets_what_is_older),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
