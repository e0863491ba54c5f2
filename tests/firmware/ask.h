/* A node with a weather station and a water meter, asked as a master does. Behind cmocka.h. */
#ifndef TESTS_FIRMWARE_ASK_H
#define TESTS_FIRMWARE_ASK_H

#include "sensors/node.h"
#include "tests/firmware/fake.h"

#define SECOND 1000000U
#define REG(block, name) NODE_##block, NODE_##block##_##name

static const struct sensor_output weather[] = {
    {60, -2, false, -4000, 12500},
    {61, -2, false, 0, 10000},
};
static const struct sensor_output water[] = {{137, -2, true, 0, INT32_MAX}};

static inline int start(void **state)
{
    (void)state;
    fake_new();
    fake_add(weather, 2);
    fake_add(water, 1);
    return fake_boot() ? 0 : -1;
}

static inline void put(uint8_t unit, unsigned block, unsigned offset, unsigned value, int gives)
{
    assert_int_equal(fake_write(unit, fake_block(unit, block) + offset, value), gives);
}

static inline unsigned get(uint8_t unit, unsigned block, unsigned offset)
{
    uint16_t v = 0;
    assert_int_equal(fake_read(unit, fake_block(unit, block) + offset, 1, &v), 0);
    return v;
}

static inline bool is_at(uint8_t unit)
{
    uint16_t v[2];
    return fake_read(unit, 0, 2, v) == 0;
}

/* Field `offset` of entry e. */
static inline unsigned field(unsigned block, unsigned entry_length, unsigned e, unsigned offset)
{
    return node_head(block) + e * entry_length + offset;
}
#define FIELD(block, e, name)                                                                      \
    NODE_##block, field(NODE_##block, NODE_##block##_ENTRY, e, NODE_##block##_##name)

#endif
