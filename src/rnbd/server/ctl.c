// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Control messages: SESS_INFO, OPEN, CLOSE. They are executed on a workqueue,
 * because to open may take long, or for ever, and the transport's context serves
 * I/O meanwhile; each by itself, since clients wait for an answer where the
 * order matters. But a client may not wait for the answer to a CLOSE: the id goes at
 * once, in the transport's context, so that an OPEN behind the CLOSE does not get the
 * same id; only closing the device takes long. Nothing of an operation may be touched
 * once it is answered.
 *
 * Only OPENs of one name come one after the other: a client repeats one that was
 * not answered, because its path died, or because the device hangs, and is to
 * find what the first one opened. The client waits for the last OPEN that it sent. So
 * behind the one that is executed only the last one waits, as its twin, any other is
 * refused, and a device that hangs costs a client two operations.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/ratelimit.h>
#include <linux/sched/mm.h>

#include "srv.h"

static int rnbd_srv_sess_info(struct rnbd_srv_ctl *ctl, size_t *answer_len)
{
	int err;
	u8 ver;

	if (ctl->data_len < RNBD_SESS_INFO_LEN)
		return -EINVAL;
	err = rnbd_parse_sess_info(ctl->usr, ctl->usr_len, &ver);
	if (err)
		return err;
	ver = min_t(u8, ver, RNBD_PROTO_VER);
	WRITE_ONCE(ctl->sess->ver, ver);
	rnbd_build_sess_info_rsp(ctl->data, ver);
	*answer_len = RNBD_SESS_INFO_LEN;
	return 0;
}

/* The OPEN of a name that is under way; sess->lock is held. */
static struct rnbd_srv_ctl *
rnbd_srv_opening_find(const struct rnbd_srv_sess *sess, const char *name)
{
	struct rnbd_srv_ctl *ctl;

	list_for_each_entry(ctl, &sess->opening, entry)
		if (!strcmp(ctl->name, name))
			return ctl;
	return NULL;
}

/*
 * Return: 0 if it goes on now; RNBD_SRV_CTL_TAKEN if it is executed again when
 * the one before has ended; -EBUSY if a client has too many that do not end.
 */
static int rnbd_srv_opening_begin(struct rnbd_srv_ctl *ctl, const char *name)
{
	struct rnbd_srv_ctl *first, *superseded = NULL;
	struct rnbd_srv_sess *sess = ctl->sess;
	int ret = 0;

	mutex_lock(&sess->lock);
	first = rnbd_srv_opening_find(sess, name);
	if (first) {
		superseded = first->twin;
		first->twin = ctl;
		ret = RNBD_SRV_CTL_TAKEN;
	} else if (sess->nr_opening == RNBD_SRV_MAX_OPENING) {
		pr_err_ratelimited("<%s>: cannot open \"%s\": %u others are being opened and do not end\n",
				   sess->name, name, sess->nr_opening);
		ret = -EBUSY;
	} else {
		ctl->name = name;
		ctl->twin = NULL;
		list_add(&ctl->entry, &sess->opening);
		sess->nr_opening++;
	}
	mutex_unlock(&sess->lock);
	if (superseded)
		rtrs_srv_resp_rdma(superseded->op, -EBUSY);
	return ret;
}

static void rnbd_srv_opening_end(struct rnbd_srv_ctl *ctl)
{
	struct rnbd_srv_ctl *twin;

	mutex_lock(&ctl->sess->lock);
	list_del(&ctl->entry);
	ctl->sess->nr_opening--;
	twin = ctl->twin;
	mutex_unlock(&ctl->sess->lock);
	if (twin)
		queue_work(rnbd_srv_wq, &twin->work);
}

/*
 * The answer is that of the version at this time. Should the client greet anew
 * while the device is being opened, it gets what it had asked for.
 */
static int rnbd_srv_open_msg(struct rnbd_srv_ctl *ctl, size_t *answer_len)
{
	struct rnbd_srv_sess *sess = ctl->sess;
	const u8 ver = READ_ONCE(sess->ver);
	enum rnbd_access_mode mode;
	const char *refusal = NULL;
	struct rnbd_open_rsp rsp;
	char name[RNBD_NAME_LEN];
	int err;

	if (ctl->data_len < rnbd_open_rsp_len(ver))
		return -EINVAL;
	err = rnbd_parse_open(ctl->usr, ctl->usr_len, name, &mode);
	if (err)
		return err;
	err = rnbd_srv_opening_begin(ctl, name);
	if (err)
		return err;
	err = rnbd_srv_open_dev(sess, name, mode, &rsp, &refusal);
	rnbd_srv_opening_end(ctl);
	if (err) {
		pr_err_ratelimited("<%s>: refused to open \"%s\": %pe%s%s\n",
				   sess->name, name, ERR_PTR(err),
				   refusal ? ", " : "", refusal ?: "");
		return err;
	}
	pr_info_ratelimited("<%s>: opened %s as %u, mode %u\n", sess->name,
			    name, rsp.device_id, mode);
	rnbd_build_open_rsp(ctl->data, ver, &rsp);
	*answer_len = rnbd_open_rsp_len(ver);
	return 0;
}

static int rnbd_srv_close_msg(struct rnbd_srv_ctl *ctl, size_t *answer_len)
{
	u32 id;
	int err;

	err = rnbd_parse_close(ctl->usr, ctl->usr_len, &id);
	if (err)
		return err;
	return rnbd_srv_close_id(ctl->sess, id, ctl->op);
}

static const struct {
	int	dir;
	bool	at_once;
	int	(*run)(struct rnbd_srv_ctl *ctl, size_t *answer_len);
} rnbd_srv_ctls[] = {
	[RNBD_MSG_SESS_INFO]	= { READ,	false,	rnbd_srv_sess_info },
	[RNBD_MSG_OPEN]		= { READ,	false,	rnbd_srv_open_msg },
	[RNBD_MSG_CLOSE]	= { WRITE,	true,	rnbd_srv_close_msg },
};

static void rnbd_srv_ctl_run(struct rnbd_srv_ctl *ctl)
{
	int type = rnbd_parse_type(ctl->usr, ctl->usr_len);
	size_t answer_len = 0;
	int err;

	err = rnbd_srv_ctls[type].run(ctl, &answer_len);
	if (err != RNBD_SRV_CTL_TAKEN)
		rtrs_srv_resp_rdma_len(ctl->op, err, answer_len);
}

static void rnbd_srv_ctl_work(struct work_struct *work)
{
	struct rnbd_srv_ctl *ctl = container_of(work, struct rnbd_srv_ctl, work);
	unsigned int noio = memalloc_noio_save();
	struct rnbd_srv_sess *sess = ctl->sess;

	/* the message may be answered, and the session gone, before this returns */
	kref_get(&sess->ref);
	rnbd_srv_ctl_run(ctl);
	rnbd_srv_sess_put(sess);
	memalloc_noio_restore(noio);
}

/**
 * rnbd_srv_ctl() - a control message arrived
 * @sess: session
 * @op: operation of the transport
 * @data: room for the answer
 * @data_len: its size
 * @usr: message of one of the three types
 * @usr_len: its size
 *
 * Return: 0 if it will be answered, else the errno it is to be answered with.
 */
int rnbd_srv_ctl(struct rnbd_srv_sess *sess, struct rtrs_srv_op *op, void *data,
		 size_t data_len, const void *usr, size_t usr_len)
{
	struct rnbd_srv_ctl *ctl = rtrs_srv_op_to_pdu(op);
	int type = rnbd_parse_type(usr, usr_len);

	if (rtrs_srv_op_dir(op) != rnbd_srv_ctls[type].dir) {
		pr_warn_ratelimited("<%s>: message of type %d in the wrong direction refused\n",
				    sess->name, type);
		return -EINVAL;
	}
	ctl->sess = sess;
	ctl->op = op;
	ctl->data = data;
	ctl->data_len = data_len;
	ctl->usr = usr;
	ctl->usr_len = usr_len;
	INIT_WORK(&ctl->work, rnbd_srv_ctl_work);
	if (rnbd_srv_ctls[type].at_once)
		rnbd_srv_ctl_work(&ctl->work);
	else
		queue_work(rnbd_srv_wq, &ctl->work);
	return 0;
}
