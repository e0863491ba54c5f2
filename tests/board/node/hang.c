/* A node that breaks when the host says so (README of board/mps2-an385, offset 44): for the tests
 * of its watchdog and its faults. Linked with --wrap=port_idle; no image of a board has it. */
#include <stdint.h>

#define TOLD (*(volatile uint32_t *)(0x21000000U + 44U))
#define NOWHERE (*(volatile uint32_t *)0xF0000000U)
enum { HANG = 1, FAULT = 2 };

void __real_port_idle(void);
void __wrap_port_idle(void);

void __wrap_port_idle(void)
{
    uint32_t told = TOLD;
    TOLD = 0;
    while (told == HANG)
        ;
    if (told == FAULT)
        NOWHERE = 0;
    __real_port_idle();
}
