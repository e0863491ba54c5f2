#include "gateway/base/user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

enum st user_become(const char *name, struct err *e)
{
    errno = 0;
    const struct passwd *p = getpwnam(name);
    if (!p)
        return err_set(e, ST_NOT_FOUND,
                       "gateway.user: there is no user \"%s\" here: make it with "
                       "`useradd --system %s`",
                       name, name);
    uid_t uid = p->pw_uid;
    gid_t gid = p->pw_gid;
    if (geteuid() == uid && uid != 0)
        return ST_OK;
    if (geteuid() != 0)
        return err_set(e, ST_REFUSED,
                       "gateway.user: only root can become %s: start as root, or as "
                       "%s, or leave gateway.user out",
                       name, name);
    if (initgroups(name, gid) != 0 || setresgid(gid, gid, gid) != 0 ||
        setresuid(uid, uid, uid) != 0)
        return err_set(e, ST_IO, "gateway.user: cannot become %s: %s", name, strerror(errno));
    if (uid != 0 && setuid(0) == 0)
        return err_set(e, ST_IO, "gateway.user: root does not go away");
    /* else /proc/self, where the store learns of its flash, would be closed to this process */
    if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0)
        return err_set(e, ST_IO, "gateway.user: PR_SET_DUMPABLE: %s", strerror(errno));
    return ST_OK;
}
