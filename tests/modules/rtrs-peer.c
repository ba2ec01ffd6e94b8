// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * A client that says whatever a test wants it to say; for tests only.
 *
 * It is a consumer of the transport, like rnbd-client, but has no idea of what a
 * server may be asked. Its parameters are its interface; a write to one ends
 * with the errno of what it did:
 *
 *	session		"NAME ADDRESS" opens a session, "-" closes it
 *	request		"read|write LENGTH HEX" sends LENGTH bytes of data and the
 *			user message HEX, and ends with the server's answer
 *	answer		the first bytes of the data of the last read, in hex
 *
 * The lock of the module's parameters serialises all of that.
 */
#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/completion.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "rtrs/rtrs.h"

#define PEER_PORT	1234
#define PEER_MAX_USR	488
#define PEER_ANSWER	64

static struct rtrs_clt_sess *peer_sess;
static u8 peer_answer[PEER_ANSWER];
static size_t peer_answer_len;

static void peer_link_ev(void *priv, enum rtrs_clt_link_ev ev)
{
	pr_info("link event %d\n", ev);
}

static int peer_open(const char *name, const char *address)
{
	static struct rtrs_clt_ops ops = { .link_ev = peer_link_ev };
	struct sockaddr_storage src = {}, dst = {};
	struct rtrs_addr path = { .src = &src, .dst = &dst };
	struct rtrs_clt_sess *sess;
	int err;

	err = rtrs_addr_to_sockaddr(address, strlen(address), PEER_PORT, &path);
	if (err)
		return err;
	sess = rtrs_clt_open(&ops, name, &path, 1, PEER_PORT, 0, 1, -1, 0);
	if (IS_ERR(sess))
		return PTR_ERR(sess);
	peer_sess = sess;
	return 0;
}

static void peer_close(void)
{
	if (peer_sess)
		rtrs_clt_close(peer_sess);
	peer_sess = NULL;
}

static int peer_session_set(const char *val, const struct kernel_param *kp)
{
	char name[64], address[64];

	if (sysfs_streq(val, "-")) {
		peer_close();
		return 0;
	}
	if (peer_sess)
		return -EALREADY;
	if (sscanf(val, "%63s %63s", name, address) != 2)
		return -EINVAL;
	return peer_open(name, address);
}

/* A request under way, on the stack of who waits for it. */
struct peer_call {
	struct completion	done;
	int			err;
};

static void peer_done(void *priv, int err)
{
	struct peer_call *call = priv;

	call->err = err;
	complete(&call->done);
}

static int peer_send(int dir, const struct kvec *usr, void *data, size_t len)
{
	struct peer_call call;
	struct rtrs_clt_req_ops ops = { .priv = &call, .conf_fn = peer_done };
	struct rtrs_permit *permit;
	struct scatterlist sg;
	int err;

	init_completion(&call.done);
	permit = rtrs_clt_get_permit(peer_sess, RTRS_IO_CON, RTRS_PERMIT_WAIT);
	if (!permit)
		return -EBUSY;
	if (len)
		sg_init_one(&sg, data, len);
	err = rtrs_clt_request(dir, &ops, peer_sess, permit, usr, 1, len,
			       len ? &sg : NULL, !!len);
	if (!err) {
		wait_for_completion(&call.done);
		err = call.err;
	}
	rtrs_clt_put_permit(peer_sess, permit);
	return err;
}

static int peer_request(int dir, size_t len, const char *hex)
{
	u8 usr[PEER_MAX_USR];
	struct kvec vec = { .iov_base = usr };
	u8 *data;
	int err;

	if (!peer_sess)
		return -ENOTCONN;
	for (; sscanf(hex, "%2hhx", &usr[vec.iov_len]) == 1; hex += 2)
		if (++vec.iov_len == sizeof(usr))
			return -EINVAL;
	data = kmalloc(len + 1, GFP_KERNEL);
	if (!data)
		return -ENOMEM;
	memset(data, 0xa5, len);
	err = peer_send(dir, &vec, data, len);
	peer_answer_len = err || dir != READ ? 0 : min_t(size_t, len,
							 PEER_ANSWER);
	memcpy(peer_answer, data, peer_answer_len);
	kfree(data);
	return err;
}

static int peer_request_set(const char *val, const struct kernel_param *kp)
{
	unsigned int len;
	char dir[6];
	int n = 0;

	if (sscanf(val, "%5s %u %n", dir, &len, &n) < 2 || !n)
		return -EINVAL;
	if (!strcmp(dir, "read"))
		return peer_request(READ, len, val + n);
	if (!strcmp(dir, "write"))
		return peer_request(WRITE, len, val + n);
	return -EINVAL;
}

static int peer_answer_get(char *buf, const struct kernel_param *kp)
{
	return scnprintf(buf, PAGE_SIZE, "%*phN\n", (int)peer_answer_len,
			 peer_answer);
}

static const struct kernel_param_ops peer_session_ops = { .set = peer_session_set };
static const struct kernel_param_ops peer_request_ops = { .set = peer_request_set };
static const struct kernel_param_ops peer_answer_ops = { .get = peer_answer_get };

module_param_cb(session, &peer_session_ops, NULL, 0200);
MODULE_PARM_DESC(session, "NAME ADDRESS opens a session, - closes it");
module_param_cb(request, &peer_request_ops, NULL, 0200);
MODULE_PARM_DESC(request, "read|write LENGTH HEX sends a request");
module_param_cb(answer, &peer_answer_ops, NULL, 0400);
MODULE_PARM_DESC(answer, "data of the last read");

static int __init peer_init(void)
{
	return 0;
}

static void __exit peer_exit(void)
{
	peer_close();
}

module_init(peer_init);
module_exit(peer_exit);

MODULE_DESCRIPTION("RDMA transport: a client for tests");
MODULE_LICENSE("GPL");
RTRS_IMPORT();
