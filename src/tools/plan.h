/* SPDX-License-Identifier: GPL-2.0-or-later */
/* From the configuration and what runs to what is to be done. */
#ifndef RNBD_TOOL_PLAN_H
#define RNBD_TOOL_PLAN_H

#include "conf.h"
#include "step.h"
#include "table.h"

void plan_client(const struct conf *conf, struct steps *steps);
void plan_session(const struct conf_session *session, const struct table *devices,
		  size_t group, struct steps *steps);
void plan_rest(const struct conf *conf, const struct table *devices, struct steps *steps);
void plan_server(const struct conf *conf, struct steps *steps);
struct step *plan_unmap(const struct table_value *device, struct steps *steps);
struct step *plan_load(const char *module, size_t group, struct steps *steps);

#endif
