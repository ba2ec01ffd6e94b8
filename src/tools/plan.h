/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the configuration and what runs to what is to be done. */
#ifndef RNBD_TOOL_PLAN_H
#define RNBD_TOOL_PLAN_H

#include "conf.h"
#include "step.h"
#include "table.h"

/* The servers of a session, as the driver takes them. */
struct plan_servers {
	struct words	first;		/* of each, the address that this host prefers */
	struct words	*all;		/* of each, all addresses that its name has */
	bool		incomplete;	/* of some no address is known now */
	struct failure	failure;	/* and why */
};

void plan_servers(const struct conf_session *session, struct plan_servers *servers);
void plan_paths_add(const struct conf_session *session, const struct plan_servers *servers,
		    size_t group, struct steps *steps);
void plan_paths_remove(const struct conf_session *session, const struct plan_servers *servers,
		       size_t group, struct steps *steps);
struct step *plan_differ(const char *session, const char *option, const char *from,
			 const char *to, struct steps *steps);
void plan_settings(const struct conf_session *session, const struct table_value *device,
		   size_t group, struct steps *steps);
void plan_options(const struct conf_session *session, size_t group, struct steps *steps);
void plan_client(const struct conf *conf, struct steps *steps);
void plan_session(const struct conf_session *session, const struct table *devices,
		  size_t group, struct steps *steps);
void plan_rest(const struct conf *conf, const struct table *devices, struct steps *steps);
bool plan_is_wanted(const struct conf *conf, const struct table_value *device);
void plan_server(const struct conf *conf, struct steps *steps);
struct step *plan_unmap(const struct table_value *device, struct steps *steps);
struct step *plan_load(const char *module, size_t group, struct steps *steps);

#endif
