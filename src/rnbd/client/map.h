/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a line written to map_device says. Pure, see map.c. */
#ifndef RNBD_CLT_MAP_H
#define RNBD_CLT_MAP_H

#include <linux/types.h>

#include "../proto.h"

#define RNBD_CLT_MAX_PATHS	6
#define RNBD_CLT_DEFAULT_PORT	1234

#define RNBD_CLT_FAST_IO_FAIL_TMO	600
#define RNBD_CLT_NEVER			(-1)

/**
 * struct rnbd_clt_tmo - how long a session waits for its server, in seconds
 * @fast_io_fail: until I/O that is held fails; 0: at once, -1: never
 * @dev_loss: until disks are unmapped when there is no path; -1: never. If both
 *	are on, it is not the shorter one
 */
struct rnbd_clt_tmo {
	int	fast_io_fail;
	int	dev_loss;
};

/**
 * struct rnbd_clt_map_path - a path= of the line
 * @text: address or pair of addresses, not parsed yet
 * @port: the dest_port= that was in force at this point of the line
 */
struct rnbd_clt_map_path {
	const char	*text;
	u16		 port;
};

/**
 * struct rnbd_clt_map - a parsed line
 * @sessname: name of the session
 * @device_path: device on the server, relative to its search path
 * @path: the paths; used to open the session, or to see that it is the one
 * @nr_paths: entries in @path
 * @port: the last dest_port= of the line
 * @port_given: there is one
 * @tmo: of the session, with the defaults for what the line does not say
 * @fast_io_fail_given: the line says that
 * @dev_loss_given: the line says that
 * @mode: access mode
 * @nr_poll_queues: 0 ... the maximum that was given to the parser
 * @why: after an error: what is wrong, a constant text
 * @where: after an error: the part of the line that is wrong, or ""
 *
 * Strings point into the line.
 */
struct rnbd_clt_map {
	const char		 *sessname;
	const char		 *device_path;
	struct rnbd_clt_map_path path[RNBD_CLT_MAX_PATHS];
	unsigned int		 nr_paths;
	u16			 port;
	bool			 port_given;
	struct rnbd_clt_tmo	 tmo;
	bool			 fast_io_fail_given;
	bool			 dev_loss_given;
	enum rnbd_access_mode	 mode;
	unsigned int		 nr_poll_queues;
	const char		 *why;
	const char		 *where;
};

int rnbd_clt_map_parse(char *line, unsigned int max_poll_queues,
		       struct rnbd_clt_map *map);
int rnbd_clt_parse_fast_io_fail(const char *text, int *secs);
int rnbd_clt_parse_dev_loss(const char *text, int *secs);
int rnbd_clt_tmo_check(const struct rnbd_clt_tmo *tmo);

#endif
