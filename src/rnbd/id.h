/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Identities of served devices: what both sides show, and how two compare.
 * Pure functions: no state, no allocation, any context.
 */
#ifndef RNBD_ID_H
#define RNBD_ID_H

#include <linux/string.h>
#include <linux/types.h>

#include "proto.h"

/* The longest name of a kind, a space, the digits, NUL */
#define RNBD_ID_TEXT_LEN	(16 + 1 + 2 * RNBD_ID_HASH_LEN + 1)

/** enum rnbd_id_match - whether two identities are of one device */
enum rnbd_id_match {
	RNBD_ID_SAME,
	RNBD_ID_OTHER,
	RNBD_ID_UNKNOWN,
};

/**
 * rnbd_id_compare() - are these identities of one device?
 * @before: identity that a server told once
 * @now: identity that it tells now
 * @same_boot: the server was certainly not booted again in between
 *
 * Identities of different kinds do not compare: another kernel of the server may
 * know another kind.
 */
static inline enum rnbd_id_match rnbd_id_compare(const struct rnbd_id *before,
						 const struct rnbd_id *now,
						 bool same_boot)
{
	bool equal = !memcmp(before->hash, now->hash, RNBD_ID_HASH_LEN);

	if (before->kind != now->kind)
		return RNBD_ID_UNKNOWN;
	switch (now->kind) {
	case RNBD_ID_NONE:
		return RNBD_ID_UNKNOWN;
	case RNBD_ID_DEVNUM:
		return equal || !same_boot ? RNBD_ID_UNKNOWN : RNBD_ID_OTHER;
	default:
		return equal ? RNBD_ID_SAME : RNBD_ID_OTHER;
	}
}

/**
 * rnbd_id_replaces() - should an identity be remembered instead of another?
 * @before: the one that is remembered
 * @now: the one that was told last, of what is taken for the same device
 *
 * A server that says less than before, because it or its kernel is an older one
 * for a while, does not make its client forget.
 */
static inline bool rnbd_id_replaces(const struct rnbd_id *before,
				    const struct rnbd_id *now)
{
	switch (now->kind) {
	case RNBD_ID_NONE:
		return false;
	case RNBD_ID_DEVNUM:
		return before->kind == RNBD_ID_NONE ||
		       before->kind == RNBD_ID_DEVNUM;
	default:
		return true;
	}
}

static inline const char *rnbd_id_kind_name(u8 kind)
{
	switch (kind) {
	case RNBD_ID_PARTITION:
		return "partition";
	case RNBD_ID_DISK_START:
		return "disk-start";
	case RNBD_ID_DISK:
		return "disk";
	case RNBD_ID_STACK:
		return "stack";
	case RNBD_ID_FILE:
		return "file";
	case RNBD_ID_DEVNUM:
		return "number";
	default:
		return "unknown";
	}
}

/**
 * rnbd_id_text() - an identity as files and messages show it
 * @id: identity
 * @text: RNBD_ID_TEXT_LEN bytes
 *
 * Return: @text, the same on both sides for the same device.
 */
static inline const char *rnbd_id_text(const struct rnbd_id *id, char *text)
{
	static const char digits[] = "0123456789abcdef";
	const char *name = rnbd_id_kind_name(id->kind);
	size_t len = strlen(name), i;

	memcpy(text, name, len + 1);
	if (id->kind == RNBD_ID_NONE)
		return text;
	text[len++] = ' ';
	for (i = 0; i < RNBD_ID_HASH_LEN; i++) {
		text[len++] = digits[id->hash[i] >> 4];
		text[len++] = digits[id->hash[i] & 0xf];
	}
	text[len] = '\0';
	return text;
}

#endif
