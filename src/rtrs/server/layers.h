/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The functions of each file, in the order of the layers: a file calls only files
 * above it in this list, but for what srv.h names.
 */
#ifndef RTRS_SRV_LAYERS_H
#define RTRS_SRV_LAYERS_H

/* params.c */
extern struct rtrs_srv_params rtrs_srv_params;
int rtrs_srv_params_check(void);

/* instance.c */
extern u64 rtrs_srv_instance;
void rtrs_srv_instance_init(void);

/* state.c */
bool rtrs_srv_path_move(struct rtrs_srv_path *path,
			enum rtrs_srv_path_state to);
__printf(2, 3)
void rtrs_srv_path_close(struct rtrs_srv_path *path, const char *why, ...);
void rtrs_srv_path_end(struct rtrs_srv_path *path);
void rtrs_srv_path_info(struct rtrs_srv_path *path, u32 len);
bool rtrs_srv_wc_failed(struct rtrs_srv_con *con, const struct ib_wc *wc,
			const char *what);

/* chunk.c */
int rtrs_srv_chunks_alloc(struct rtrs_srv_path *path);
void rtrs_srv_chunks_free(struct rtrs_srv_path *path);
void rtrs_srv_sess_free_chunks(struct rtrs_srv_sess *sess);
int rtrs_srv_chunks_map(struct rtrs_srv_path *path);
void rtrs_srv_chunks_unmap(struct rtrs_srv_path *path);
int rtrs_srv_chunks_register(struct rtrs_srv_path *path);
int rtrs_srv_chunks_build_info(struct rtrs_srv_path *path);

/* turn.c */
int rtrs_srv_op_claim(struct rtrs_srv_op *op, struct rtrs_srv_con *con, u32 off);
void rtrs_srv_op_unbusy(struct rtrs_srv_op *op);
void rtrs_srv_chunk_release(struct rtrs_srv_chunk *chunk);
void rtrs_srv_op_end(struct rtrs_srv_op *op);
void rtrs_srv_op_abandon_held(struct rtrs_srv_op *op);

/* send.c */
void rtrs_srv_op_revoke(struct rtrs_srv_op *op);
void rtrs_srv_op_respond(struct rtrs_srv_op *op, int status, size_t len);
void rtrs_srv_con_rsp_done(struct ib_cq *cq, struct ib_wc *wc);
void rtrs_srv_con_sent(struct rtrs_srv_con *con, int wrs);
void rtrs_srv_con_kick(struct rtrs_srv_con *con);
void rtrs_srv_con_abandon_waiting(struct rtrs_srv_con *con);

/* io.c */
int rtrs_srv_ops_alloc(struct rtrs_srv_path *path);
void rtrs_srv_ops_free(struct rtrs_srv_path *path);
void rtrs_srv_ops_abandon(struct rtrs_srv_path *path);
void rtrs_srv_op_begin(struct rtrs_srv_con *con, u32 id, u32 off);

/* conn.c */
struct rtrs_srv_con *rtrs_srv_con_create(struct rtrs_srv_path *path,
					 struct rdma_cm_id *cm_id, u16 cid);
void rtrs_srv_con_free(struct rtrs_srv_con *con);
void rtrs_srv_con_adopt(struct rtrs_srv_con *con);
int rtrs_srv_con_post_info_recv(struct rtrs_srv_con *con);
int rtrs_srv_con_post_recvs(struct rtrs_srv_con *con);
void rtrs_srv_con_disconnect(struct rtrs_srv_con *con);
void rtrs_srv_con_destroy(struct rtrs_srv_con *con);
u32 rtrs_srv_con_mem(void);

/* sess.c */
struct rtrs_srv_sess *rtrs_srv_sess_create(struct rtrs_srv_ctx *ctx,
					   const u8 *uuid);
void rtrs_srv_sess_destroy(struct rtrs_srv_sess *sess);
struct rtrs_srv_sess *rtrs_srv_sess_find(struct rtrs_srv_ctx *ctx,
					 const u8 *uuid);
struct rtrs_srv_path *rtrs_srv_sess_find_path(struct rtrs_srv_sess *sess,
					      const u8 *uuid);
bool rtrs_srv_sess_has_pair(struct rtrs_srv_sess *sess,
			    const struct rdma_cm_id *cm_id);
void rtrs_srv_sess_enter(struct rtrs_srv_path *path);
void rtrs_srv_sess_leave(struct rtrs_srv_path *path);
void rtrs_srv_ctx_close_paths(struct rtrs_srv_ctx *ctx,
			      const struct rtrs_srv_dev *dev, const char *why);

/* sysfs_stats.c */
extern struct kobj_attribute rtrs_srv_inflight;
extern const struct attribute_group rtrs_srv_stats_group;

/* sysfs.c */
extern struct class rtrs_srv_class;
extern const struct attribute_group *rtrs_srv_path_groups[];
int rtrs_srv_path_show(struct rtrs_srv_path *path);
void rtrs_srv_path_hide(struct rtrs_srv_path *path, bool last);

/* link.c */
int rtrs_srv_path_set_name(struct rtrs_srv_path *path, const char *name);
bool rtrs_srv_sess_has_stragglers(struct rtrs_srv_sess *sess);
int rtrs_srv_sess_link_up(struct rtrs_srv_path *path);
void rtrs_srv_sess_link_lost(struct rtrs_srv_path *path);
void rtrs_srv_sess_link_down(struct rtrs_srv_path *path);

/* info.c */
void rtrs_srv_path_info_work(struct work_struct *work);

/* fence.c */
void rtrs_srv_path_fence_work(struct work_struct *work);

/* path.c */
struct rtrs_srv_path *rtrs_srv_path_create(struct rtrs_srv_sess *sess,
					   struct rtrs_srv_dev *dev,
					   struct rdma_cm_id *cm_id,
					   const struct rtrs_conn_req *req);
void rtrs_srv_path_put(struct rtrs_srv_path *path);
void rtrs_srv_path_expect(struct rtrs_srv_path *path);

/* accept.c */
int rtrs_srv_con_request(struct rtrs_srv_ctx *ctx, struct rdma_cm_id *cm_id,
			 const struct rdma_conn_param *param);

/* end.c */
void rtrs_srv_ctx_end(struct rtrs_srv_ctx *ctx);

/* listen.c */
void rtrs_srv_listeners_get(struct rtrs_srv_ctx *ctx);
void rtrs_srv_listeners_put(struct rtrs_srv_ctx *ctx);
void rtrs_srv_listeners_stop(struct rtrs_srv_ctx *ctx);

/* dev.c */
int rtrs_srv_devs_register(struct rtrs_srv_ctx *ctx);
void rtrs_srv_devs_unregister(void);

#endif
