// SPDX-License-Identifier: GPL-2.0-or-later
/* What is exported: the parameter dev_search_path. */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/limits.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "path.h"
#include "srv.h"

static char dev_search_path[PATH_MAX] = "/";	/* constant after load */

static int rnbd_srv_set_search_path(const char *val,
				    const struct kernel_param *kp)
{
	size_t len = strlen(val);

	if (len && val[len - 1] == '\n')
		len--;
	if (len >= sizeof(dev_search_path)) {
		pr_err("dev_search_path is too long\n");
		return -EINVAL;
	}
	memcpy(dev_search_path, val, len);
	dev_search_path[len] = '\0';
	if (!rnbd_srv_search_path_valid(dev_search_path)) {
		pr_err("dev_search_path is empty or has %%SESSNAME%% more than once\n");
		return -EINVAL;
	}
	return 0;
}

static int rnbd_srv_get_search_path(char *buf, const struct kernel_param *kp)
{
	return scnprintf(buf, PAGE_SIZE, "%s\n", dev_search_path);
}

static const struct kernel_param_ops rnbd_srv_search_path_ops = {
	.set	= rnbd_srv_set_search_path,
	.get	= rnbd_srv_get_search_path,
};
module_param_cb(dev_search_path, &rnbd_srv_search_path_ops, NULL, 0444);
MODULE_PARM_DESC(dev_search_path,
		 "directory of the devices that are served (default /); %SESSNAME% in it stands for the name of the session");

/**
 * rnbd_srv_search_path() - the directory below which devices are looked up
 *
 * Return: the parameter, %SESSNAME% included; constant.
 */
const char *rnbd_srv_search_path(void)
{
	return dev_search_path;
}
