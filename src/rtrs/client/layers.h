/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The functions of each file, in the order of the layers: a file calls only files
 * above it in this list. What goes the other way are the completion handlers of
 * connections (struct rtrs_clt_con_handlers), the operations of the heartbeat
 * (struct rtrs_hb_ops in path.c), the work items of paths and of link events, and
 * the wait queues of paths and sessions.
 */
#ifndef RTRS_CLT_LAYERS_H
#define RTRS_CLT_LAYERS_H

/* main.c */
extern struct workqueue_struct *rtrs_clt_hb_wq;
extern struct workqueue_struct *rtrs_clt_link_wq;
extern struct workqueue_struct *rtrs_clt_fence_wq;
unsigned int rtrs_clt_param_nr_queues(void);
unsigned int rtrs_clt_param_read_copybreak(void);
struct rtrs_hb_timing rtrs_clt_param_hb_timing(void);
u32 rtrs_clt_param_features(void);
unsigned long rtrs_clt_param_unfenced_wait(void);

/* state.c */
bool rtrs_clt_path_set(struct rtrs_clt_path *path,
		       enum rtrs_clt_path_state state);
void rtrs_clt_path_kick(struct rtrs_clt_path *path,
			enum rtrs_clt_path_state state);
void rtrs_clt_path_error(struct rtrs_clt_path *path);
void rtrs_clt_path_resume(struct rtrs_clt_path *path);
bool rtrs_clt_path_close_idle(struct rtrs_clt_path *path);
bool rtrs_clt_path_ask(struct rtrs_clt_path *path);
bool rtrs_clt_wc_failed(struct rtrs_clt_path *path, const struct ib_wc *wc,
			const char *what);

/* account.c: see account.h */

/* histogram.c: see histogram.h */

/* policy.c: see policy.h */

/* permit.c */
int rtrs_clt_permits_alloc(struct rtrs_clt_sess *sess);
void rtrs_clt_permits_free(struct rtrs_clt_sess *sess);
struct rtrs_permit *rtrs_clt_permit(struct rtrs_clt_sess *sess, u16 id);
void rtrs_clt_permit_release(struct rtrs_clt_sess *sess,
			     struct rtrs_permit *permit);
struct rtrs_permit *rtrs_clt_get_fence_permit(struct rtrs_clt_sess *sess);
void rtrs_clt_permit_let_go(struct rtrs_permit *permit);

/* sysfs_stats.c */
extern struct kobj_attribute rtrs_clt_cur_latency;
extern const struct attribute_group rtrs_clt_stats_group;

/* sysfs.c */
extern struct class rtrs_clt_class;
extern const struct attribute_group *rtrs_clt_path_groups[];
void rtrs_clt_path_get_link(struct rtrs_clt_path *path,
			    struct rtrs_clt_link *link);
void rtrs_clt_path_note_link(struct rtrs_clt_path *path);

/* addrs.c */
bool rtrs_clt_path_is_twice(const struct rtrs_clt_path *path,
			    const struct sockaddr_storage *src);

/* mem.c */
void *rtrs_clt_arena_buf(const struct rtrs_clt_arena *arena, u16 id);
u64 rtrs_clt_arena_addr(const struct rtrs_clt_arena *arena, const u64 *addrs,
			u16 id);
int rtrs_clt_sess_alloc_mem(struct rtrs_clt_sess *sess);
void rtrs_clt_sess_free_mem(struct rtrs_clt_sess *sess);
int rtrs_clt_path_alloc_mem(struct rtrs_clt_path *path);
void rtrs_clt_path_free_mem(struct rtrs_clt_path *path);
int rtrs_clt_path_map_mem(struct rtrs_clt_path *path);
void rtrs_clt_path_unmap_mem(struct rtrs_clt_path *path);
int rtrs_clt_path_register_slots(struct rtrs_clt_path *path);

/* instance.c */
void rtrs_clt_instance_found(struct rtrs_clt_path *path, u64 instance);
bool rtrs_clt_instance_fits(const struct rtrs_clt_path *path);
void rtrs_clt_instance_take(const struct rtrs_clt_path *path);
void rtrs_clt_instance_ended(const struct rtrs_clt_con *con);

/* conn.c */
int rtrs_clt_con_resolve_addr(struct rtrs_clt_con *con);
int rtrs_clt_con_resolve_route(struct rtrs_clt_con *con);
int rtrs_clt_con_connect(struct rtrs_clt_con *con);
int rtrs_clt_con_wait(struct rtrs_clt_con *con, enum rtrs_clt_con_stage stage);
int rtrs_clt_con_post_recvs(struct rtrs_clt_con *con);
int rtrs_clt_con_repost(struct rtrs_clt_con *con, struct ib_cqe *cqe);
void rtrs_clt_con_disconnect(struct rtrs_clt_con *con);
void rtrs_clt_con_free_cq(struct rtrs_clt_con *con);
void rtrs_clt_con_destroy_id(struct rtrs_clt_con *con);

/* req.c */
void rtrs_clt_reqs_init(struct rtrs_clt_sess *sess);
void rtrs_clt_req_set_state(struct rtrs_clt_req *req,
			    enum rtrs_clt_req_state state);
void rtrs_clt_req_unmap(struct rtrs_clt_req *req);
void rtrs_clt_req_release(struct rtrs_clt_req *req);
void rtrs_clt_req_confirm(struct rtrs_clt_req *req, int err);
void rtrs_clt_req_orphan(struct rtrs_clt_req *req);
void rtrs_clt_req_put(struct rtrs_clt_req *req);
void rtrs_clt_req_canceled(struct rtrs_clt_req *req);
void rtrs_clt_req_post_inv(struct rtrs_clt_req *req);
void rtrs_clt_unsignalled_done(struct ib_cq *cq, struct ib_wc *wc);

/* failover.c */
void rtrs_clt_req_take_turn(struct rtrs_clt_req *req);
void rtrs_clt_req_fence(struct rtrs_clt_req *req);
bool rtrs_clt_req_settle(struct rtrs_clt_req *req, struct rtrs_clt_path *path,
			 const struct rtrs_clt_fence *fence,
			 const struct rtrs_fence_entry *entry);
struct rtrs_clt_path *rtrs_clt_req_look(struct rtrs_clt_sess *sess,
					struct rtrs_clt_req *req);
bool rtrs_clt_permit_cancel_doubt(struct rtrs_clt_sess *sess,
				  struct rtrs_permit *permit, const void *priv);
void rtrs_clt_path_doubt_requests(struct rtrs_clt_path *path);
void rtrs_clt_path_fence_requests(struct rtrs_clt_path *path);
void rtrs_clt_path_abandon_requests(struct rtrs_clt_path *path);

/* recv.c */
bool rtrs_clt_con_has_inval(const struct rtrs_clt_con *con,
			    const struct rtrs_clt_req *req);
void rtrs_clt_recv_done(struct ib_cq *cq, struct ib_wc *wc);
void rtrs_clt_recv_rx_done(struct ib_cq *cq, struct ib_wc *wc);

/* post.c */
int rtrs_clt_post_fence(struct rtrs_clt_path *path, struct rtrs_permit *permit,
			const struct rtrs_clt_req_ops *ops,
			const struct rtrs_fence_req *msg, size_t answer_len);

/* fence.c */
void rtrs_clt_fence_work(struct work_struct *work);

/* poll.c */
void rtrs_clt_con_poll_if_polled(struct rtrs_clt_con *con);

/* cancel.c */
void rtrs_clt_probe_done(struct ib_cq *cq, struct ib_wc *wc);

/* info.c */
int rtrs_clt_info_exchange(struct rtrs_clt_path *path);
void rtrs_clt_info_free(struct rtrs_clt_path *path);

/* geometry.c */
int rtrs_clt_sess_take_geometry(struct rtrs_clt_path *path);

/* connect.c */
int rtrs_clt_path_connect(struct rtrs_clt_path *path);
void rtrs_clt_path_disconnect(struct rtrs_clt_path *path);
void rtrs_clt_path_destroy(struct rtrs_clt_path *path);

/* link.c */
void rtrs_clt_sess_link_work(struct work_struct *work);
bool rtrs_clt_sess_path_up(struct rtrs_clt_path *path);
void rtrs_clt_sess_path_down(struct rtrs_clt_sess *sess);

/* path.c */
struct rtrs_clt_path *rtrs_clt_path_alloc(struct rtrs_clt_sess *sess,
					  const struct rtrs_addr *addr);
void rtrs_clt_path_free(struct rtrs_clt_path *path);
void rtrs_clt_path_start(struct rtrs_clt_path *path);
void rtrs_clt_path_begin_close(struct rtrs_clt_path *path);
void rtrs_clt_path_end_close(struct rtrs_clt_path *path);

/* change.c */
int rtrs_clt_path_take_down(struct rtrs_clt_path *path);
int rtrs_clt_path_reconnect(struct rtrs_clt_path *path);
int rtrs_clt_path_leave(struct rtrs_clt_path *path);
void rtrs_clt_path_forget(struct rtrs_clt_path *path);
struct rtrs_clt_path *rtrs_clt_sess_add_path(struct rtrs_clt_sess *sess,
					     const struct rtrs_addr *addr);

/* control.c */
int rtrs_clt_sess_publish(struct rtrs_clt_sess *sess);
void rtrs_clt_sess_unpublish(struct rtrs_clt_sess *sess);

#endif
