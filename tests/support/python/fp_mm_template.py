"""A ModemManager that tells of its cells, for python3-dbusmock: `python3 -m dbusmock --template THIS`. The real one
does so for QMI and MBIM modems alone, and none of these can be played here. Keys and types are libmm-glib's, whose
own client (mmcli) must read the answer, too."""
import dbus
import dbusmock

BUS_NAME = MAIN_IFACE = "org.freedesktop.ModemManager1"
MAIN_OBJ = "/org/freedesktop/ModemManager1"
SYSTEM_BUS = False
IS_OBJECT_MANAGER = True
MODEM = BUS_NAME + ".Modem"


def load(mock, parameters):
    """parameters: cells, a Python expression for the answer of GetCellInfo, as dbusmock runs it."""
    mock.AddMethod("", "InhibitDevice", "sb", "", "")
    mock.AddProperties(BUS_NAME, {"Version": "1.20.4"})
    mock.AddObject(MAIN_OBJ + "/Modem/0", MODEM, {
        "State": dbus.Int32(8), "StateFailedReason": dbus.UInt32(0), "UnlockRequired": dbus.UInt32(1),
        "SupportedCapabilities": dbus.Array([4], signature="u"), "CurrentCapabilities": dbus.UInt32(4),
        "AccessTechnologies": dbus.UInt32(1 << 14 | 1 << 15), "Model": "played", "Bearers": dbus.Array([], signature="o"),
    }, [("GetCellInfo", "", "aa{sv}", "ret = " + str(parameters["cells"]))])
    dbusmock.get_object(MAIN_OBJ + "/Modem/0").AddProperties(MODEM + ".Modem3gpp", {
        "RegistrationState": dbus.UInt32(0), "OperatorCode": "45204"})
