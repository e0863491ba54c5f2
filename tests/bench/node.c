/* Answers of a node, for callgrind: node-bench N REGISTERS [bytes]: N reads of so many registers of
 * the block of values, on a node of 11 chips and 21 points; with `bytes` the frames are only heard.
 * The benchmark counts what slave_answer, or frame_put, takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sensors/node.h"
#include "tests/firmware/fake.h"

enum { CHIPS = 11, POINTS = 21 };

int main(int argc, char **argv)
{
    static const struct sensor_output outputs[2] = {{60, -2, false, -4000, 12500},
                                                    {61, -2, false, 0, 10000}};
    if (argc < 3) {
        fprintf(stderr, "usage: %s N REGISTERS [bytes]\n", argv[0]);
        return 2;
    }
    unsigned long n = strtoul(argv[1], NULL, 10), registers = strtoul(argv[2], NULL, 10);
    fake_new();
    for (unsigned i = 0; i < CHIPS; i++)
        (void)fake_add(outputs, i < POINTS - CHIPS ? 2 : 1);
    if (!fake_boot() || !fake_run(20000000))
        return 1;
    unsigned at = fake_block(1, NODE_VALUES);
    uint8_t ask[8] = {1, 3, (uint8_t)(at >> 8), (uint8_t)at, 0, (uint8_t)registers}, answer[256];
    uint16_t crc = fake_crc(ask, 6);
    ask[6] = (uint8_t)crc;
    ask[7] = (uint8_t)(crc >> 8);
    size_t size = 0;
    struct node *node = &fake.node;
    struct slave_map map = node_map(node);
    for (unsigned long i = 0; i < n; i++) {
        if (argc > 3) {
            for (unsigned k = 0; k < sizeof ask; k++)
                (void)frame_put(&node->frame, ask[k], node->frame.last_us + node->frame.char_us,
                                false);
            uint8_t *whole;
            size = frame_take(&node->frame, &whole);
        } else {
            size = slave_answer(&node->slave, &map, ask, sizeof ask, node->now_ms, answer);
        }
    }
    printf("%zu\n", size);
    return 0;
}
