// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The server's instance: a number that tells one boot of this host from the next.
 *
 * A client that finds another number than before knows that whatever this host
 * had in a volatile cache is gone, even if it never missed the host. The number is
 * made of the kernel's boot id, and not of anything that happens when the module
 * is loaded, since a module that is loaded again loses nothing.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/random.h>
#include <linux/uuid.h>

#include "srv.h"

#define RTRS_SRV_BOOT_ID	"/proc/sys/kernel/random/boot_id"

u64 rtrs_srv_instance;	/* constant once the module is loaded */

static int rtrs_srv_read_boot_id(char text[UUID_STRING_LEN + 1])
{
	struct file *file = ERR_PTR(-ENOENT);
	loff_t pos = 0;
	ssize_t len;

	/* the root directory of who loads the module may be one without /proc */
	scoped_with_init_fs()
		file = filp_open(RTRS_SRV_BOOT_ID, O_RDONLY, 0);
	if (IS_ERR(file))
		return PTR_ERR(file);
	len = kernel_read(file, text, UUID_STRING_LEN, &pos);
	filp_close(file, NULL);
	if (len < 0)
		return len;
	text[len] = '\0';
	return len == UUID_STRING_LEN ? 0 : -EIO;
}

static int rtrs_srv_get_boot_id(uuid_t *id)
{
	char text[UUID_STRING_LEN + 1];
	int err = rtrs_srv_read_boot_id(text);

	return err ?: uuid_parse(text, id);
}

/**
 * rtrs_srv_instance_init() - find out which instance this host is
 *
 * A kernel without the file gets a random number. Its clients then take a reload of
 * the module for a loss of power, which is wrong on the safe side.
 *
 * Context: process, when the module is loaded.
 */
void rtrs_srv_instance_init(void)
{
	uuid_t id;
	int err;

	err = rtrs_srv_get_boot_id(&id);
	if (err) {
		pr_warn("cannot read %s: %pe; clients will take the next load of this module for a loss of power\n",
			RTRS_SRV_BOOT_ID, ERR_PTR(err));
		uuid_gen(&id);
	}
	rtrs_srv_instance = rtrs_instance_from_boot_id(id.b);
}
