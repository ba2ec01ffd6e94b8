/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * RTRS: a reliable transport for block-like requests over RDMA.
 *
 * A session has one path or several to one server; a path is a pair of addresses, with one
 * connection for admin messages and some for I/O. The server has a number of chunks for
 * a session, each the place for one request; a permit is the client's right to use one
 * of them. A consumer is the module that opens sessions, or serves them.
 *
 * This is the whole interface of the transport. Names and meaning are those
 * of the in-tree driver, so that a consumer builds against either; what goes
 * beyond it is marked "extension". A consumer needs one line more than with
 * the in-tree driver:
 *
 *	RTRS_IMPORT();
 *
 * It is built with -I<this source>/src and against the Module.symvers of a
 * build of this source; rtrs-interface.h is made by that build.
 */
#ifndef RTRS_H
#define RTRS_H

#include <linux/types.h>
#include <linux/socket.h>
#include <linux/scatterlist.h>
#include <linux/uio.h>

#include "rtrs-interface.h"

/* Defined by rtrs-core. The name has a checksum in it, see src/Kbuild. */
extern const char RTRS_SAME_VERSION[];

/**
 * RTRS_IMPORT() - let a module use the transport (extension)
 *
 * Stands once in each module that calls a function of this header, next to
 * MODULE_LICENSE().
 *
 * The kernel links a module with whatever modules are loaded, by the names of
 * functions alone unless it has CONFIG_MODVERSIONS, although their structs may
 * differ: after an upgrade of the package the old modules stay loaded, and the
 * in-tree driver has modules and functions of the same names. So the macro
 * does two things:
 *
 * - It refers to a symbol of rtrs-core whose name has a checksum of the version
 *   and of the transport's headers in it. Any other rtrs-core, of another
 *   version or in-tree, has no such symbol, and the kernel refuses the module:
 *   "Unknown symbol rtrs_core_is_other_version_unmap_and_reload_...". It is a
 *   name that carries the advice, because a module whose symbols are not all
 *   found gets no chance to say anything. rtrs-core stays loaded as long as
 *   there is a user of it, so all modules above agree with each other, too.
 * - It imports the symbol namespace of the transport. A module without that,
 *   like an in-tree consumer, is refused: "uses symbol rtrs_clt_open from
 *   namespace RTRS_OUT_OF_TREE, but does not import it".
 */
#define RTRS_IMPORT() \
	MODULE_IMPORT_NS("RTRS_OUT_OF_TREE"); \
	static const char *const rtrs_same_version __used = RTRS_SAME_VERSION

/**
 * struct rtrs_addr - one path of a session
 * @src: local address, NULL to let routing decide
 * @dst: address of the server, its port included
 */
struct rtrs_addr {
	struct sockaddr_storage *src;
	struct sockaddr_storage *dst;
};

int rtrs_addr_to_sockaddr(const char *str, size_t len, u16 port,
			  struct rtrs_addr *addr);
int sockaddr_to_str(const struct sockaddr *addr, char *buf, size_t len);
int rtrs_addr_to_str(const struct rtrs_addr *addr, char *buf, size_t len);

/* ------------------------------------------------------------- client */

struct rtrs_clt_sess;
struct rtrs_permit;

/**
 * enum rtrs_clt_link_ev - what happened to a session
 * @RTRS_CLT_LINK_EV_RECONNECTED: a first path is up again
 * @RTRS_CLT_LINK_EV_DISCONNECTED: the last path went down
 */
enum rtrs_clt_link_ev {
	RTRS_CLT_LINK_EV_RECONNECTED,
	RTRS_CLT_LINK_EV_DISCONNECTED,
};

/**
 * struct rtrs_clt_ops - callbacks of a session
 * @priv: handed to @link_ev
 * @link_ev: process context, one at a time for a session; may sleep and may
 *	issue requests. What it allocates comes from the reserves or fails, see
 *	memalloc_noreclaim_save(). Not called for the first connect or for the
 *	close.
 */
struct rtrs_clt_ops {
	void	*priv;
	void	(*link_ev)(void *priv, enum rtrs_clt_link_ev ev);
};

/**
 * struct rtrs_clt_req_ops - completion of one request
 * @priv: handed to @conf_fn
 * @conf_fn: called once for each request that rtrs_clt_request() took.
 *	@err is 0 or a negative errno of the server's. -ECONNABORTED says
 *	that the path died before an answer came, and that the request may be issued
 *	again: it does not and will not run on the server from now on, or it is a read
 *	or a flush, which does no harm if it does, or unfenced_failover says not to
 *	wait for that.
 *	-ECANCELED says that the path died (an admin request) or that
 *	rtrs_clt_cancel() ended it, and that its outcome is unknown: the server
 *	may be executing it, then and later.
 *	Context: softirq or process; must not sleep.
 * @copy: extension: takes the data of a read of up to rtrs_attrs::copybreak bytes,
 *	which is at @data as long as the call lasts. Called before a @conf_fn that
 *	reports success, in the same contexts. The request has no scatter table then.
 *	NULL if the transport is to put the data where that says.
 */
struct rtrs_clt_req_ops {
	void	*priv;
	void	(*conf_fn)(void *priv, int err);
	void	(*copy)(void *priv, const void *data);
};

/** enum rtrs_clt_con_type - which connection a permit is for */
enum rtrs_clt_con_type {
	RTRS_ADMIN_CON,
	RTRS_IO_CON,
};

/** enum wait_type - whether rtrs_clt_get_permit() may sleep */
enum wait_type {
	RTRS_PERMIT_NOWAIT,
	RTRS_PERMIT_WAIT,
};

/**
 * struct rtrs_attrs - properties of an open session
 * @queue_depth: chunks of the session, admin ones included
 * @max_io_size: bytes of data in one request
 * @max_segments: segments in one request; where one ends and the next begins, both are
 *	aligned to PAGE_SIZE, see rtrs_clt_request()
 * @nr_queues: extension: I/O connections that are not polled, the queues that
 *	rtrs_clt_tag_permit() takes first
 * @copybreak: extension: bytes up to which the data of a read comes by way of memory
 *	of the transport's own, and may be taken from there by rtrs_clt_req_ops::copy
 */
struct rtrs_attrs {
	u32	queue_depth;
	u32	max_io_size;
	u32	max_segments;
	u32	nr_queues;
	u32	copybreak;
};

struct rtrs_clt_sess *rtrs_clt_open(struct rtrs_clt_ops *ops,
				    const char *sessname,
				    const struct rtrs_addr *paths,
				    size_t path_cnt, u16 port, size_t pdu_sz,
				    u8 reconnect_delay_sec,
				    s16 max_reconnect_attempts,
				    u32 nr_poll_queues);
void rtrs_clt_close(struct rtrs_clt_sess *sess);
int rtrs_clt_query(struct rtrs_clt_sess *sess, struct rtrs_attrs *attrs);

/* extensions: which boot of the server it is, and how the last one ended */
u64 rtrs_clt_instance(struct rtrs_clt_sess *sess);
bool rtrs_clt_ended_orderly(struct rtrs_clt_sess *sess);

struct rtrs_permit *rtrs_clt_get_permit(struct rtrs_clt_sess *sess,
					enum rtrs_clt_con_type con_type,
					enum wait_type wait);
void rtrs_clt_put_permit(struct rtrs_clt_sess *sess, struct rtrs_permit *permit);
void *rtrs_permit_to_pdu(struct rtrs_permit *permit);

/* extensions for consumers whose requests already carry a tag (blk-mq) */
int rtrs_clt_use_tags(struct rtrs_clt_sess *sess);
struct rtrs_permit *rtrs_clt_tag_permit(struct rtrs_clt_sess *sess,
					unsigned int tag, unsigned int queue);
bool rtrs_clt_cancel(struct rtrs_clt_sess *sess, struct rtrs_permit *permit,
		     const void *priv);

/* extensions for consumers that bound how long a request may wait for its path */
bool rtrs_clt_in_doubt(struct rtrs_clt_sess *sess, struct rtrs_permit *permit,
		       const void *priv, unsigned long *since);
bool rtrs_clt_cancel_doubt(struct rtrs_clt_sess *sess,
			   struct rtrs_permit *permit, const void *priv);
unsigned int rtrs_clt_nr_unfenced(const struct rtrs_clt_sess *sess);

/* extension: which server, and which way to it, a session was opened with */
bool rtrs_clt_has_path(struct rtrs_clt_sess *sess, const struct rtrs_addr *addr,
		       u16 port);
int rtrs_clt_paths_to_str(struct rtrs_clt_sess *sess, char *buf, size_t len);

int rtrs_clt_request(int dir, struct rtrs_clt_req_ops *ops,
		     struct rtrs_clt_sess *sess, struct rtrs_permit *permit,
		     const struct kvec *vec, size_t nr, size_t data_len,
		     struct scatterlist *sg, unsigned int sg_cnt);
int rtrs_clt_rdma_cq_direct(struct rtrs_clt_sess *sess, unsigned int index);

/* ------------------------------------------------------------- server */

struct rtrs_srv_ctx;
struct rtrs_srv_sess;
struct rtrs_srv_op;

/**
 * enum rtrs_srv_link_ev - what happened to a session
 * @RTRS_SRV_LINK_EV_CONNECTED: its first path is up
 * @RTRS_SRV_LINK_EV_DISCONNECTED: its last path is gone; no operation of the
 *	session is unfinished and none will come
 * @RTRS_SRV_LINK_EV_LOST: extension: its last path is closed, but may have
 *	unfinished operations, some of which may arrive only now. Always comes
 *	between the two others. The client may come again at any time, with a
 *	session of its own for the consumer.
 */
enum rtrs_srv_link_ev {
	RTRS_SRV_LINK_EV_CONNECTED,
	RTRS_SRV_LINK_EV_DISCONNECTED,
	RTRS_SRV_LINK_EV_LOST,
};

/**
 * struct rtrs_srv_ops - callbacks of a server
 * @rdma_ev: a request arrived. @data is the chunk's data area, @datalen its
 *	length; @usr is a private copy of the user message that stays until the
 *	operation is answered. The data belongs to the operation until
 *	rtrs_srv_resp_rdma(), which any context may call, also before @rdma_ev
 *	returns. A return value other than 0 is answered by RTRS itself.
 *	@priv is that of rtrs_srv_set_sess_priv(). Process context, may sleep.
 * @link_ev: see enum rtrs_srv_link_ev; process context, may sleep. Those of one
 *	@priv come one after the other. A non-zero return to CONNECTED closes the
 *	path.
 * @flush: extension: the server ends, and answers no request that the consumer ends
 *	from now on. Make durable whatever was answered, and return 0: clients are told
 *	then that they lose nothing by this end. Any errno if that fails or takes more
 *	than some seconds, since a reboot waits for it. NULL: clients are never told.
 *	Process context, may sleep.
 * @pdu_sz: extension: bytes of rtrs_srv_op_to_pdu() in each operation
 */
struct rtrs_srv_ops {
	int	(*rdma_ev)(void *priv, struct rtrs_srv_op *op, void *data,
			   size_t datalen, const void *usr, size_t usrlen);
	int	(*link_ev)(struct rtrs_srv_sess *sess,
			   enum rtrs_srv_link_ev ev, void *priv);
	int	(*flush)(void);
	size_t	pdu_sz;
};

struct rtrs_srv_ctx *rtrs_srv_open(struct rtrs_srv_ops *ops, u16 port);
void rtrs_srv_close(struct rtrs_srv_ctx *ctx);

bool rtrs_srv_resp_rdma(struct rtrs_srv_op *op, int status);
void rtrs_srv_set_sess_priv(struct rtrs_srv_sess *sess, void *priv);
int rtrs_srv_get_path_name(struct rtrs_srv_sess *sess, char *name, size_t len);
int rtrs_srv_get_queue_depth(struct rtrs_srv_sess *sess);

/* extensions */
u32 rtrs_srv_get_max_io_size(struct rtrs_srv_sess *sess);
bool rtrs_srv_data_is_stable(struct rtrs_srv_sess *sess);
bool rtrs_srv_resp_rdma_len(struct rtrs_srv_op *op, int status, size_t len);
int rtrs_srv_op_dir(const struct rtrs_srv_op *op);
void *rtrs_srv_op_to_pdu(struct rtrs_srv_op *op);

#endif
