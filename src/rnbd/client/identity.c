// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Whether a device that is opened again is the one that was mapped.
 *
 * A name may lead to another device when the server is back, and the writes that
 * were held would go there. So the server tells an identity with each answer to
 * OPEN, and the client remembers the one that it knows best. A device of another
 * identity is refused: the server is told to close it again, and I/O stays held until
 * the right device is back, or the administrator accepts the other one. A device with
 * another block size is refused whatever its identity says, and one that is smaller,
 * until the administrator has written its size to resize. These two are all there is to
 * go by where identities do not compare, because the device has none or the server is
 * an older one.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include "../id.h"
#include "clt.h"

/* Was the server certainly not booted since the answer that was accepted last? */
static bool rnbd_clt_same_boot(const struct rnbd_clt_dev *dev)
{
	u64 instance = rtrs_clt_instance(dev->sess->rtrs);

	return instance && instance == dev->cache.instance;
}

static void rnbd_clt_dev_complain_identity(const struct rnbd_clt_dev *dev,
					   const struct rnbd_id *now)
{
	char text[RNBD_ID_TEXT_LEN], old[RNBD_ID_TEXT_LEN];

	pr_err("%s: %s on the server is another device now, \"%s\" instead of \"%s\": I/O stays held; restore the device and write 1 to remap_device, or write 1 to accept_identity to have the I/O go to this one, or unmap with force\n",
	       dev->disk->disk_name, dev->path, rnbd_id_text(now, text),
	       rnbd_id_text(&dev->rsp.id, old));
}

/**
 * rnbd_clt_dev_check_same() - is it still the device that was mapped?
 * @dev: closed device; if the server has another one, that is marked as refused, and
 *	what to do about it was logged
 * @rsp: what the server says of the device that it has now
 *
 * Context: process, dev_lock held.
 * Return: 0 if there is no reason to doubt it, else -ESTALE.
 */
int rnbd_clt_dev_check_same(struct rnbd_clt_dev *dev,
			    const struct rnbd_open_rsp *rsp)
{
	const char *name = dev->disk->disk_name;

	lockdep_assert_held(&dev->sess->dev_lock);
	if (rnbd_id_compare(&dev->rsp.id, &rsp->id, rnbd_clt_same_boot(dev)) ==
	    RNBD_ID_OTHER) {
		dev->offered = rsp->id;
		rnbd_clt_dev_complain_identity(dev, &rsp->id);
	} else if (rsp->logical_block_size != dev->rsp.logical_block_size) {
		pr_err("%s: %s on the server now has blocks of %u bytes instead of %u, it is not the same device: I/O stays held; restore the device and write 1 to remap_device, or unmap with force\n",
		       name, dev->path, rsp->logical_block_size,
		       dev->rsp.logical_block_size);
	} else if (rsp->nsectors < dev->rsp.nsectors) {
		pr_err("%s: %s on the server shrank from %llu to %llu sectors, it may not be the same device: I/O stays held; restore the device, or write its size to resize if it is right, and write 1 to remap_device, or unmap with force\n",
		       name, dev->path, dev->rsp.nsectors, rsp->nsectors);
	} else {
		return 0;
	}
	dev->refused = true;
	return -ESTALE;
}

/**
 * rnbd_clt_dev_take_identity() - remember the identity of a device that is accepted
 * @dev: device, whose @rsp is still that of the answer before
 * @rsp: the answer; gets the identity to be remembered
 *
 * Context: process, dev_lock held.
 */
void rnbd_clt_dev_take_identity(struct rnbd_clt_dev *dev,
				struct rnbd_open_rsp *rsp)
{
	static const struct rnbd_id none;

	if (!rnbd_id_replaces(&dev->rsp.id, &rsp->id))
		rsp->id = dev->rsp.id;
	dev->offered = none;
}

/**
 * rnbd_clt_dev_accept_offered() - remember the identity of the device refused last
 * @dev: device
 *
 * Context: process.
 * Return: 0, -EALREADY if it is open, -ENODATA if no other device was refused.
 */
int rnbd_clt_dev_accept_offered(struct rnbd_clt_dev *dev)
{
	int err = 0;

	mutex_lock(&dev->sess->dev_lock);
	if (dev->state == RNBD_CLT_OPEN)
		err = -EALREADY;
	else if (dev->offered.kind == RNBD_ID_NONE)
		err = -ENODATA;
	else
		dev->rsp.id = dev->offered;
	mutex_unlock(&dev->sess->dev_lock);
	return err;
}

/**
 * rnbd_clt_dev_identity() - the identity that is remembered
 * @dev: device
 * @offered: instead, that of another device which was refused; none if there
 *	was no such since the device was open
 *
 * Context: process.
 */
struct rnbd_id rnbd_clt_dev_identity(struct rnbd_clt_dev *dev, bool offered)
{
	struct rnbd_id id;

	mutex_lock(&dev->sess->dev_lock);
	id = offered ? dev->offered : dev->rsp.id;
	mutex_unlock(&dev->sess->dev_lock);
	return id;
}
