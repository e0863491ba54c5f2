/* Within the family. */
#ifndef FIRMWARE_MCU_CMSDK_CMSDK_INT_H
#define FIRMWARE_MCU_CMSDK_CMSDK_INT_H

#include <stdbool.h>

bool cmsdk_line_waiting(void); /* a byte was received */
/* Interrupts. */
void cmsdk_nmi(void);
void cmsdk_timer0(void);
void cmsdk_uart0_rx(void);
void cmsdk_uart0_tx(void);
void cmsdk_uart1_rx(void);
void cmsdk_uart1_tx(void);
void cmsdk_uart2_rx(void);
void cmsdk_uart2_tx(void);

#endif
