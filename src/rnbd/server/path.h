/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the name a client asks for to a path of this host. Pure, see path.c. */
#ifndef RNBD_SRV_PATH_H
#define RNBD_SRV_PATH_H

#include <linux/types.h>

bool rnbd_srv_search_path_valid(const char *search_path);
int rnbd_srv_path_join(const char *search_path, const char *sessname,
		       const char *dev_name, char *buf, size_t len);

#endif
