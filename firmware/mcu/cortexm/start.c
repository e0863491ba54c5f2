/* From reset to board_main; faults. */
#include "firmware/mcu/cortexm/cortexm.h"

#include <stddef.h>

#include "sensors/node.h"

/* Of the linker script. */
extern const uint32_t cortexm_data_from[];
extern uint32_t cortexm_data[], cortexm_data_end[], cortexm_bss[], cortexm_bss_end[];

#define NOTE 0x4E6F7400U /* "Not" */

static __attribute__((section(".noinit"))) volatile uint32_t note;

void cortexm_reset(void)
{
    for (size_t i = 0; &cortexm_data[i] < cortexm_data_end; i++)
        cortexm_data[i] = cortexm_data_from[i];
    for (uint32_t *p = cortexm_bss; p < cortexm_bss_end; p++)
        *p = 0;
    /* The stack below this frame, so that port_stack_free can tell what was never used. */
    uint32_t *here = __builtin_frame_address(0);
    for (uint32_t *p = cortexm_stack_end; p < here - 16; p++)
        *p = CORTEXM_PAINT;
    cortexm_unmask();
    board_main();
}

void cortexm_note(uint32_t cause)
{
    note = NOTE | cause;
}

uint32_t cortexm_noted(void)
{
    return (note & 0xFFFFFF00U) == NOTE ? note & 0xFFU : 0;
}

void cortexm_fault(void)
{
    cortexm_note(NODE_RESET_FAULT);
    SCB_AIRCR = SCB_AIRCR_SYSRESETREQ;
    for (;;)
        ;
}

void cortexm_enable(unsigned interrupt)
{
    NVIC_ISER[interrupt / 32] = 1U << interrupt % 32;
}
