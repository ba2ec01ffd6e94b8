// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is written and read in sysfs: /sys/class/rnbd-client/ctl/map_device, and the
 * files of a disk, /sys/block/rnbdN/rnbd/. These are a group of attributes of the
 * disk, so that they exist before udev hears of it. Two of them belong to the
 * session, and each of its disks has them: fast_io_fail_tmo and dev_loss_tmo.
 *
 * A write to unmap_device removes its own file. It gives up the protection
 * that would make the removal wait for it, and holds the module instead, so
 * that unloading waits.
 *
 * Writers of files hold locks that the recovery of a lost session takes as well. So
 * they allocate without waiting for I/O, which may be that of a disk whose session is
 * lost.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

#include "../id.h"
#include "../sysfs.h"
#include "clt.h"

#define RNBD_CLT_DIR	"rnbd"

static struct rnbd_clt_dev *rnbd_clt_dev_of(struct device *ddev)
{
	return dev_to_disk(ddev)->private_data;
}

static ssize_t unmap_device_show(struct device *ddev,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Unmaps the device. Write \"normal\", or \"force\" to do so while it is open.\n");
}

/*
 * sysfs_break_active_protection() looks for a file in the directory of a kobject,
 * and this one is in the directory of a group. So a kobject stands in for that
 * directory; what sysfs_unbreak_active_protection() gives back is a reference of
 * the kobject that owns the group, the disk.
 */
static struct kernfs_node *
rnbd_clt_break_protection(struct device *ddev, const struct attribute *attr)
{
	static const struct kobj_type nothing = {};
	struct kernfs_node *kn;
	struct kobject dir = {};

	kobject_init(&dir, &nothing);
	dir.sd = sysfs_get_dirent(ddev->kobj.sd, RNBD_CLT_DIR);
	kn = sysfs_break_active_protection(&dir, attr);
	sysfs_put(dir.sd);
	if (kn)
		get_device(ddev);
	return kn;
}

/* Only who unmaps gives up the protection, which keeps the device until then. */
static int rnbd_clt_unmap_self(struct device *ddev,
			       const struct attribute *attr, bool force)
{
	struct rnbd_clt_dev *dev = rnbd_clt_dev_of(ddev);
	struct rnbd_clt_sess *sess = dev->sess;
	struct kernfs_node *kn;
	int err;

	err = rnbd_clt_dev_retire(dev, force);
	if (err)
		return err;
	/* the session, and its tag set, end after the disk */
	rnbd_clt_sess_hold(sess);
	kn = rnbd_clt_break_protection(ddev, attr);
	rnbd_clt_dev_unmap(dev, force);
	if (kn)
		sysfs_unbreak_active_protection(kn);
	rnbd_clt_sess_put(sess);
	return 0;
}

static ssize_t unmap_device_store(struct device *ddev,
				  struct device_attribute *attr,
				  const char *buf, size_t count)
{
	bool force = sysfs_streq(buf, "force");
	unsigned int noio;
	int err;

	if (!force && !sysfs_streq(buf, "normal")) {
		pr_err("unmap_device: neither normal nor force\n");
		return -EINVAL;
	}
	if (!try_module_get(THIS_MODULE))
		return -EALREADY;
	noio = memalloc_noio_save();
	err = rnbd_clt_unmap_self(ddev, &attr->attr, force);
	memalloc_noio_restore(noio);
	if (err)
		pr_err("unmap_device: cannot unmap: %pe\n", ERR_PTR(err));
	module_put(THIS_MODULE);
	return err ?: count;
}
static DEVICE_ATTR_RW(unmap_device);

static ssize_t resize_show(struct device *ddev, struct device_attribute *attr,
			   char *buf)
{
	return sysfs_emit(buf, "Sets the size of the device. Write it in sectors of 512 bytes.\n");
}

static ssize_t resize_store(struct device *ddev, struct device_attribute *attr,
			    const char *buf, size_t count)
{
	unsigned int noio = memalloc_noio_save();
	u64 nsectors;
	int err;

	err = kstrtou64(buf, 0, &nsectors) ?:
	      rnbd_clt_dev_resize(rnbd_clt_dev_of(ddev), nsectors);
	memalloc_noio_restore(noio);
	if (err)
		pr_err("resize: cannot resize: %pe\n", ERR_PTR(err));
	return err ?: count;
}
static DEVICE_ATTR_RW(resize);

static ssize_t remap_device_show(struct device *ddev,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Opens the device on the server again. Write 1.\n");
}

static ssize_t remap_device_store(struct device *ddev,
				  struct device_attribute *attr,
				  const char *buf, size_t count)
{
	unsigned int noreclaim;
	int err;

	if (!rnbd_wrote_one("remap_device", buf))
		return -EINVAL;
	/* as rnbd_clt_recover_work() does */
	noreclaim = memalloc_noreclaim_save();
	err = rnbd_clt_dev_remap(rnbd_clt_dev_of(ddev));
	memalloc_noreclaim_restore(noreclaim);
	return err ?: count;
}
static DEVICE_ATTR_RW(remap_device);

static ssize_t accept_identity_show(struct device *ddev,
				    struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "Takes the device of offered_identity for this one, and opens it. Write 1.\n");
}

static ssize_t accept_identity_store(struct device *ddev,
				     struct device_attribute *attr,
				     const char *buf, size_t count)
{
	unsigned int noreclaim;
	int err;

	if (!rnbd_wrote_one("accept_identity", buf))
		return -EINVAL;
	/* as for remap_device */
	noreclaim = memalloc_noreclaim_save();
	err = rnbd_clt_dev_accept(rnbd_clt_dev_of(ddev));
	memalloc_noreclaim_restore(noreclaim);
	return err ?: count;
}
static DEVICE_ATTR_RW(accept_identity);

static ssize_t identity_show(struct device *ddev, struct device_attribute *attr,
			     char *buf)
{
	struct rnbd_id id = rnbd_clt_dev_identity(rnbd_clt_dev_of(ddev), false);
	char text[RNBD_ID_TEXT_LEN];

	return sysfs_emit(buf, "%s\n", rnbd_id_text(&id, text));
}
static DEVICE_ATTR_RO(identity);

/* Nothing if there is none: no device is refused because it has no identity. */
static ssize_t offered_identity_show(struct device *ddev,
				     struct device_attribute *attr, char *buf)
{
	struct rnbd_id id = rnbd_clt_dev_identity(rnbd_clt_dev_of(ddev), true);
	char text[RNBD_ID_TEXT_LEN];

	if (id.kind == RNBD_ID_NONE)
		return 0;
	return sysfs_emit(buf, "%s\n", rnbd_id_text(&id, text));
}
static DEVICE_ATTR_RO(offered_identity);

static ssize_t state_show(struct device *ddev, struct device_attribute *attr,
			  char *buf)
{
	enum rnbd_clt_state state = READ_ONCE(rnbd_clt_dev_of(ddev)->state);

	return sysfs_emit(buf, "%s\n", rnbd_clt_state_name(state));
}
static DEVICE_ATTR_RO(state);

static ssize_t session_show(struct device *ddev, struct device_attribute *attr,
			    char *buf)
{
	return sysfs_emit(buf, "%s\n", rnbd_clt_dev_of(ddev)->sess->name);
}
static DEVICE_ATTR_RO(session);

static ssize_t mapping_path_show(struct device *ddev,
				 struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n", rnbd_clt_dev_of(ddev)->path);
}
static DEVICE_ATTR_RO(mapping_path);

static ssize_t access_mode_show(struct device *ddev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%s\n",
			  rnbd_mode_name(rnbd_clt_dev_of(ddev)->mode));
}
static DEVICE_ATTR_RO(access_mode);

static ssize_t nr_poll_queues_show(struct device *ddev,
				   struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  (int)rnbd_clt_dev_of(ddev)->sess->nr_poll_queues);
}
static DEVICE_ATTR_RO(nr_poll_queues);

static ssize_t lost_writes_show(struct device *ddev,
				struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%d\n",
			  rnbd_clt_cache_is_lost(rnbd_clt_dev_of(ddev)));
}

static ssize_t lost_writes_store(struct device *ddev,
				 struct device_attribute *attr,
				 const char *buf, size_t count)
{
	if (!sysfs_streq(buf, "0")) {
		pr_err("lost_writes: not 0\n");
		return -EINVAL;
	}
	rnbd_clt_cache_forgive(rnbd_clt_dev_of(ddev));
	return count;
}
static DEVICE_ATTR_RW(lost_writes);

static ssize_t rnbd_clt_tmo_show(int tmo, char *buf)
{
	return sysfs_emit(buf, "%d\n", tmo);
}

static ssize_t rnbd_clt_tmo_store(struct rnbd_clt_sess *sess, const char *buf,
				  size_t count, const char *key,
				  int (*parse)(const char *text, int *secs),
				  bool dev_loss)
{
	unsigned int noio = memalloc_noio_save();
	int secs, err;

	err = parse(buf, &secs);
	if (err)
		pr_err("<%s>: %s: not a number of seconds, nor -1\n",
		       sess->name, key);
	else
		err = rnbd_clt_sess_set_tmo(sess, dev_loss ? NULL : &secs,
					    dev_loss ? &secs : NULL);
	memalloc_noio_restore(noio);
	return err ?: count;
}

static ssize_t fast_io_fail_tmo_show(struct device *ddev,
				     struct device_attribute *attr, char *buf)
{
	return rnbd_clt_tmo_show(rnbd_clt_dev_of(ddev)->sess->tmo.fast_io_fail,
				 buf);
}

static ssize_t fast_io_fail_tmo_store(struct device *ddev,
				      struct device_attribute *attr,
				      const char *buf, size_t count)
{
	return rnbd_clt_tmo_store(rnbd_clt_dev_of(ddev)->sess, buf, count,
				  "fast_io_fail_tmo", rnbd_clt_parse_fast_io_fail, false);
}
static DEVICE_ATTR_RW(fast_io_fail_tmo);

static ssize_t dev_loss_tmo_show(struct device *ddev,
				 struct device_attribute *attr, char *buf)
{
	return rnbd_clt_tmo_show(rnbd_clt_dev_of(ddev)->sess->tmo.dev_loss,
				 buf);
}

static ssize_t dev_loss_tmo_store(struct device *ddev,
				  struct device_attribute *attr,
				  const char *buf, size_t count)
{
	return rnbd_clt_tmo_store(rnbd_clt_dev_of(ddev)->sess, buf, count,
				  "dev_loss_tmo", rnbd_clt_parse_dev_loss, true);
}
static DEVICE_ATTR_RW(dev_loss_tmo);

static ssize_t held_show(struct device *ddev, struct device_attribute *attr,
			 char *buf)
{
	struct rnbd_clt_held_now held;

	rnbd_clt_held_show(rnbd_clt_dev_of(ddev), &held);
	if (!held.holds)
		return sysfs_emit(buf, "0\n");
	if (held.left < 0)
		return sysfs_emit(buf, "%u since %u s, fails never\n", held.nr,
				  held.secs);
	return sysfs_emit(buf, "%u since %u s, fails in %d s\n", held.nr,
			  held.secs, held.left);
}
static DEVICE_ATTR_RO(held);

static ssize_t slow_requests_show(struct device *ddev,
				  struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  atomic_read(&rnbd_clt_dev_of(ddev)->nr_slow));
}
static DEVICE_ATTR_RO(slow_requests);

static ssize_t oldest_request_show(struct device *ddev,
				   struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf, "%u\n",
			  rnbd_clt_oldest_age(rnbd_clt_dev_of(ddev)));
}
static DEVICE_ATTR_RO(oldest_request);

static struct attribute *rnbd_clt_disk_attrs[] = {
	&dev_attr_unmap_device.attr,
	&dev_attr_resize.attr,
	&dev_attr_remap_device.attr,
	&dev_attr_accept_identity.attr,
	&dev_attr_identity.attr,
	&dev_attr_offered_identity.attr,
	&dev_attr_state.attr,
	&dev_attr_session.attr,
	&dev_attr_mapping_path.attr,
	&dev_attr_access_mode.attr,
	&dev_attr_nr_poll_queues.attr,
	&dev_attr_lost_writes.attr,
	&dev_attr_fast_io_fail_tmo.attr,
	&dev_attr_dev_loss_tmo.attr,
	&dev_attr_held.attr,
	&dev_attr_slow_requests.attr,
	&dev_attr_oldest_request.attr,
	NULL,
};

static const struct attribute_group rnbd_clt_disk_group = {
	.name	= RNBD_CLT_DIR,
	.attrs	= rnbd_clt_disk_attrs,
};

static const struct attribute_group *rnbd_clt_disk_groups[] = {
	&rnbd_clt_disk_group,
	NULL,
};

static ssize_t map_device_show(struct device *ctl,
			       struct device_attribute *attr, char *buf)
{
	return sysfs_emit(buf,
			  "Maps a device of an rnbd server. Write words key=value, separated by spaces:\n"
			  "  sessname=NAME         session; shared by all devices mapped with the same name\n"
			  "  path=[SRC@]DST        path to the server, up to 6 of them; needed for a new session\n"
			  "  device_path=PATH      device, relative to the server's dev_search_path\n"
			  "  access_mode=MODE      ro, rw (default) or migration\n"
			  "  fast_io_fail_tmo=S    I/O fails that was held for S seconds, -1 for never, default 600\n"
			  "  dev_loss_tmo=S        a session without a path for S seconds loses its disks, default -1 for never\n"
			  "  dest_port=PORT        port of the path= words that follow, default 1234\n"
			  "  nr_poll_queues=N      N more connections for each path, for I/O that is polled for;\n"
			  "                        -1 for one per CPU, default 0\n"
			  "SRC and DST are ip:IPV4, ip:IPV6 or gid:GID.\n");
}

static ssize_t map_device_store(struct device *ctl,
				struct device_attribute *attr, const char *buf,
				size_t count)
{
	struct rnbd_clt_map map;
	unsigned int noio;
	char *line;
	int err;

	line = kstrndup(buf, count, GFP_KERNEL);
	if (!line)
		return -ENOMEM;
	noio = memalloc_noio_save();
	err = rnbd_clt_map_parse(line, nr_cpu_ids, &map);
	if (err)
		pr_err("map_device: %s \"%s\"\n", map.why, map.where);
	else
		err = rnbd_clt_dev_map(&map, rnbd_clt_disk_groups);
	memalloc_noio_restore(noio);
	kfree(line);
	return err ?: count;
}
static DEVICE_ATTR_RW(map_device);

/* To be called last: as soon as the file is there, it works. */
int rnbd_clt_sysfs_init(void)
{
	return device_create_file(rnbd_clt_ctl, &dev_attr_map_device);
}

/* Nobody maps any more, and who was about to is done. */
void rnbd_clt_sysfs_exit(void)
{
	device_remove_file(rnbd_clt_ctl, &dev_attr_map_device);
}
