/* The program of a sensor node. */
#include "firmware/node/node.h"
#include "firmware/port.h"

static struct node node;

_Noreturn void firmware_main(void)
{
    node_start(&node, &port_board);
    for (;;) {
        if (!node_turn(&node))
            port_idle();
    }
}
