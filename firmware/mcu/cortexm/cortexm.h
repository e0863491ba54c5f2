/* What every Cortex-M3 has: start-up, faults, resets, the interrupt controller, SysTick. Registers
 * are named as in the ARMv7-M Architecture Reference Manual (DDI 0403E), part B3.
 *
 * The board's linker script gives the symbols that cortexm_reset names; its start-up (board_main)
 * is entered with memory set up and interrupts enabled, on the one stack that there is. */
#ifndef FIRMWARE_MCU_CORTEXM_CORTEXM_H
#define FIRMWARE_MCU_CORTEXM_CORTEXM_H

#include <stdbool.h>
#include <stdint.h>

#define SYST_CSR (*(volatile uint32_t *)0xE000E010U)
#define SYST_RVR (*(volatile uint32_t *)0xE000E014U)
#define SYST_CVR (*(volatile uint32_t *)0xE000E018U)
#define SYST_CSR_ENABLE 1U
#define SYST_CSR_TICKINT 2U
#define SYST_CSR_CLKSOURCE 4U
#define NVIC_ISER ((volatile uint32_t *)0xE000E100U)
#define SCB_ICSR (*(volatile uint32_t *)0xE000ED04U)
#define SCB_ICSR_PENDSTSET (1U << 26)
#define SCB_AIRCR (*(volatile uint32_t *)0xE000ED0CU)
#define SCB_AIRCR_SYSRESETREQ 0x05FA0004U

/* An entry of a vector table; the first of a table is cortexm_stack_top. */
union cortexm_vector {
    void (*handler)(void);
    const void *stack;
};
/* The first 16, the same for all; NMI and SysTick are the family's. */
#define CORTEXM_VECTORS(nmi, systick)                                                              \
    {.stack = cortexm_stack_top}, {cortexm_reset}, {nmi}, {cortexm_fault}, {cortexm_fault},        \
        {cortexm_fault}, {cortexm_fault}, {0}, {0}, {0}, {0}, {cortexm_fault}, {cortexm_fault},    \
        {0}, {cortexm_fault},                                                                      \
    {                                                                                              \
        systick                                                                                    \
    }
extern const uint8_t cortexm_stack_top[];
extern uint32_t cortexm_stack_end[]; /* its lowest word */
#define CORTEXM_PAINT 0x50DECADEU    /* what the stack has where it was never used */

void cortexm_reset(void);
/* An exception that nobody expects: notes NODE_RESET_FAULT and restarts. */
void cortexm_fault(void);
/* The board's, called by cortexm_reset. */
_Noreturn void board_main(void);

/* Why the next start will be (enum node_reset), in memory that a reset keeps; 0: nothing is known.
 * The start reads it once. */
void cortexm_note(uint32_t cause);
uint32_t cortexm_noted(void);

void cortexm_enable(unsigned interrupt);

static inline void cortexm_mask(void)
{
    __asm volatile("cpsid i" ::: "memory");
}
static inline void cortexm_unmask(void)
{
    __asm volatile("cpsie i" ::: "memory");
}
/* Sleeps until an interrupt is pending, masked or not. */
static inline void cortexm_wait(void)
{
    __asm volatile("dsb\n\twfi" ::: "memory");
}

#endif
