/* What every part of this core gives of port.h. */
#include "firmware/mcu/cortexm/cortexm.h"
#include "firmware/port.h"
#include "sensors/node.h"

__attribute__((section(".noinit"))) volatile uint32_t port_kept;

_Noreturn void port_restart(void)
{
    cortexm_note(NODE_RESET_COMMAND);
    SCB_AIRCR = SCB_AIRCR_SYSRESETREQ;
    for (;;)
        ;
}

uint16_t port_stack_free(void)
{
    const volatile uint32_t *p = cortexm_stack_end;
    while (*p == CORTEXM_PAINT)
        p++;
    return (uint16_t)((uintptr_t)p - (uintptr_t)cortexm_stack_end);
}
