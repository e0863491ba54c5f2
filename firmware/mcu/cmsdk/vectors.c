/* Who answers which interrupt. */
#include "firmware/mcu/cmsdk/cmsdk.h"

#include "firmware/mcu/cmsdk/cmsdk_int.h"
#include "firmware/mcu/cortexm/cortexm.h"

__attribute__((section(".vectors"), used)) static const union cortexm_vector vectors[16 + 9] = {
    CORTEXM_VECTORS(cmsdk_nmi, cortexm_fault),        [16 + CMSDK_IRQ_UART0_RX] = {cmsdk_uart0_rx},
    [16 + CMSDK_IRQ_UART0_TX] = {cmsdk_uart0_tx},     [16 + CMSDK_IRQ_UART1_RX] = {cmsdk_uart1_rx},
    [16 + CMSDK_IRQ_UART1_RX + 1] = {cmsdk_uart1_tx}, [16 + CMSDK_IRQ_UART2_RX] = {cmsdk_uart2_rx},
    [16 + CMSDK_IRQ_UART2_RX + 1] = {cmsdk_uart2_tx}, [16 + CMSDK_IRQ_TIMER0] = {cmsdk_timer0},
};
