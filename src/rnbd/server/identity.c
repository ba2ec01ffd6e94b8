// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The identity of a device, by which a client that opens it again, after this
 * server was away, notices that its name leads to another one now.
 *
 * What it is made of has to be the same after a reboot, on another kernel if
 * possible, and after everything that keeps the content: moving the blocks of a
 * logical volume, merging its snapshot, growing it. Where two devices may have
 * the same, that is not an identity: a client would write to the wrong one. So
 * the rule in doubt is to have none.
 *
 * What it is made of may be the serial number of a disk that is nobody's
 * business, so the client gets a hash.
 */
#include <linux/device-mapper.h>
#include <linux/fcntl.h>
#include <linux/module.h>
#include <linux/siphash.h>
#include <linux/stat.h>
#include <linux/string.h>
#include <linux/unaligned.h>
#include <linux/uuid.h>

#include "srv.h"

#define RNBD_SRV_UNIQUE_ID_LEN	16	/* the longest that a disk may have */

/* Part of the protocol: with other keys the same device has another identity. */
static const siphash_key_t rnbd_srv_id_keys[] = {
	{ { 0x726e62642d696430ull, 0x1bbd000000000001ull } },
	{ { 0x726e62642d696431ull, 0x1bbd000000000002ull } },
};

static void rnbd_srv_id_set(struct rnbd_id *id, enum rnbd_id_kind kind,
			    const void *raw, size_t len)
{
	unsigned int i;

	id->kind = kind;
	for (i = 0; i < ARRAY_SIZE(rnbd_srv_id_keys); i++)
		put_unaligned_le64(siphash(raw, len, &rnbd_srv_id_keys[i]),
				   id->hash + i * sizeof(u64));
}

/*
 * The unique id of a device of device mapper, which may be empty; -ENODEV if it
 * is not one. This module does not depend on dm-mod, which may not be there;
 * while a device of it is open, it is.
 */
static int rnbd_srv_dm_uuid(dev_t devt, char uuid[DM_UUID_LEN])
{
	typeof(&dm_copy_name_and_uuid) copy;
	typeof(&dm_get_md) get;
	typeof(&dm_put) put;
	struct mapped_device *md;
	int err = -ENODEV;

	get = symbol_get(dm_get_md);
	if (!get)
		return err;
	put = symbol_get(dm_put);
	if (!put)
		goto out_put_get;
	copy = symbol_get(dm_copy_name_and_uuid);
	if (!copy)
		goto out_put_put;

	md = get(devt);
	if (md) {
		uuid[0] = '\0';
		/* it fails if the device is about to be removed */
		copy(md, NULL, uuid);
		put(md);
		err = 0;
	}
	symbol_put(dm_copy_name_and_uuid);
out_put_put:
	symbol_put(dm_put);
out_put_get:
	symbol_put(dm_get_md);
	return err;
}

/*
 * The unique id of a disk with its type in front; returns the length, 0 if it
 * has none. Not the one that vendors make up (T10): some have the same for all
 * their disks.
 */
static size_t rnbd_srv_disk_id(struct gendisk *disk,
			       u8 raw[1 + RNBD_SRV_UNIQUE_ID_LEN])
{
	static const enum blk_unique_id types[] = {
		BLK_UID_NAA, BLK_UID_EUI64,
	};
	unsigned int i;
	int len;

	for (i = 0; i < ARRAY_SIZE(types); i++) {
		len = disk_get_unique_id(disk, raw + 1, types[i]);
		if (len <= 0 || len > RNBD_SRV_UNIQUE_ID_LEN ||
		    !memchr_inv(raw + 1, 0, len))
			continue;
		raw[0] = types[i];
		return 1 + len;
	}
	return 0;
}

/*
 * For device mapper its own id is the only one that counts: newer kernels would
 * answer for the disk below, which many logical volumes share.
 */
static bool rnbd_srv_identify_disk(struct block_device *bdev,
				   struct rnbd_id *id)
{
	u8 raw[1 + RNBD_SRV_UNIQUE_ID_LEN];
	char uuid[DM_UUID_LEN];
	size_t len;

	if (!rnbd_srv_dm_uuid(bdev->bd_dev, uuid)) {
		len = strnlen(uuid, sizeof(uuid));
		rnbd_srv_id_set(id, RNBD_ID_STACK, uuid, len);
		return len;
	}
	len = rnbd_srv_disk_id(bdev->bd_disk, raw);
	rnbd_srv_id_set(id, RNBD_ID_DISK, raw, len);
	return len;
}

/* In a table of the old kind the disk may have been given no id, or rather 0. */
static bool rnbd_srv_part_has_uuid(const struct partition_meta_info *info)
{
	return info && info->uuid[0] && !strstarts(info->uuid, "00000000");
}

/* Device mapper has no partitions, but devices of their own for these. */
static bool rnbd_srv_identify_part(struct block_device *bdev,
				   struct rnbd_id *id)
{
	const struct partition_meta_info *info = bdev->bd_meta_info;
	u8 raw[1 + RNBD_SRV_UNIQUE_ID_LEN + sizeof(u64)];
	size_t len;

	if (rnbd_srv_part_has_uuid(info)) {
		rnbd_srv_id_set(id, RNBD_ID_PARTITION, info->uuid,
				strnlen(info->uuid, sizeof(info->uuid)));
		return true;
	}
	len = rnbd_srv_disk_id(bdev->bd_disk, raw);
	put_unaligned_le64(get_start_sect(bdev), raw + len);
	rnbd_srv_id_set(id, RNBD_ID_DISK_START, raw, len + sizeof(u64));
	return len;
}

/**
 * rnbd_srv_identify_bdev() - the identity of a block device
 * @bdev: an open block device
 *
 * Context: process; waits for no I/O.
 * Return: the identity; one without an id of its own has its number.
 */
struct rnbd_id rnbd_srv_identify_bdev(struct block_device *bdev)
{
	struct rnbd_id id = {};
	u8 raw[sizeof(u32)];
	bool found;

	found = bdev_is_partition(bdev) ? rnbd_srv_identify_part(bdev, &id) :
					  rnbd_srv_identify_disk(bdev, &id);
	if (found)
		return id;
	put_unaligned_le32(bdev->bd_dev, raw);
	rnbd_srv_id_set(&id, RNBD_ID_DEVNUM, raw, sizeof(raw));
	return id;
}

/**
 * rnbd_srv_identify_file() - the identity of a regular file
 * @file: an open file
 *
 * A file system that shows another device number than its own has inode numbers
 * that are not unique in it, as btrfs, where a snapshot's file has the number
 * and the generation of the original.
 *
 * Context: process, no lock is held: a file system of the network may have to
 * ask.
 * Return: the identity; none if the file system has no unique id, or more than
 * one file of a number.
 */
struct rnbd_id rnbd_srv_identify_file(struct file *file)
{
	const struct inode *inode = file_inode(file);
	const struct super_block *sb = inode->i_sb;
	u8 raw[UUID_SIZE + sizeof(u64) + sizeof(u32)];
	struct rnbd_id id = {};
	struct kstat stat;

	if (uuid_is_null(&sb->s_uuid) ||
	    vfs_getattr(&file->f_path, &stat, STATX_INO, AT_STATX_DONT_SYNC) ||
	    stat.dev != sb->s_dev)
		return id;
	export_uuid(raw, &sb->s_uuid);
	put_unaligned_le64(stat.ino, raw + UUID_SIZE);
	put_unaligned_le32(inode->i_generation,
			   raw + UUID_SIZE + sizeof(u64));
	rnbd_srv_id_set(&id, RNBD_ID_FILE, raw, sizeof(raw));
	return id;
}
