/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Devices of servers that are mapped here, as disks. */
#ifndef RNBD_TOOL_DEVICE_H
#define RNBD_TOOL_DEVICE_H

#include "table.h"

enum device_field {
	DEVICE_NAME,
	DEVICE_DEVICE,
	DEVICE_SESSION,
	DEVICE_ACCESS,
	DEVICE_STATE,
	DEVICE_SIZE,
	DEVICE_PROBLEM,
	DEVICE_READ_ONLY,
	DEVICE_HELD,
	DEVICE_HELD_FOR,
	DEVICE_FAILS_IN,
	DEVICE_FAST_IO_FAIL_TMO,
	DEVICE_DEV_LOSS_TMO,
	DEVICE_LOST_WRITES,
	DEVICE_SLOW_REQUESTS,
	DEVICE_OLDEST_REQUEST,
	DEVICE_POLL_QUEUES,
	DEVICE_IDENTITY,
	DEVICE_OFFERED_IDENTITY,
	DEVICE_LINK,
	DEVICE_FIELDS,
};

struct table device_table(void);
void device_load(struct table *devices);
void device_wait_for_links(void);
const struct table_value *device_of_session(const struct table *devices, const char *session,
					    const char *name);
bool device_module_is_loaded(void);
int device_no_module(void);
void device_match(const struct table *devices, const char *name, struct table *found);
int device_find(const char *name, struct table *found);
char *device_file(const struct table_value *device, const char *name);

int device_list(char **words, int nr);
int device_show(char **words, int nr);
int device_unmap(char **words, int nr);
int device_resize(char **words, int nr);
int device_remap(char **words, int nr);
int device_map(char **words, int nr);
int device_accept(char **words, int nr);
int device_clear_lost_writes(char **words, int nr);

#endif
