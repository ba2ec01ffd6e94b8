// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Policies: which of the paths that are connected a request takes.
 *
 * A policy gives each path a weight, and the lightest one is chosen. Of those that are
 * equally light it is the one behind the path that the CPU chose last, so paths take
 * turns. A session with one path never gets as far as that.
 *
 * Nothing here takes a lock or writes what another CPU reads often. All that is compared
 * is of connections of the same queue, which a few CPUs share at most: so a queue sees
 * what it has sent itself, and the links of a session are shared fairly because each
 * queue shares them fairly.
 *
 * A request of the admin connection goes over the first path that is connected. So
 * messages of a consumer that waits for no answer in between stay in order.
 */
#include <linux/ktime.h>
#include <linux/percpu.h>
#include <linux/rculist.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/topology.h>

#include "clt.h"

#define RTRS_CLT_DEFAULT_POLICY	1	/* min-inflight */

/* On another node than the CPU; more than there are requests under way. */
#define RTRS_CLT_REMOTE		BIT_ULL(32)

/* The path that was chosen last stays, unless another is better by this part. */
#define RTRS_CLT_STAY_PART	4

/**
 * struct rtrs_clt_pick - the choice of a path for a request
 * @sess: session
 * @permit: the request's, for I/O
 * @class: see rtrs_latency_class()
 * @last: path that this CPU chose last for this class
 */
struct rtrs_clt_pick {
	const struct rtrs_clt_sess	*sess;
	const struct rtrs_permit	*permit;
	unsigned int			class;
	const struct rtrs_clt_path	*last;
};

static bool rtrs_clt_path_is_usable(const struct rtrs_clt_path *path)
{
	/* pairs with the release when it got connected */
	return smp_load_acquire(&path->state) == RTRS_CLT_CONNECTED;
}

static u32 rtrs_clt_path_inflight(const struct rtrs_clt_path *path,
				  const struct rtrs_clt_pick *pick)
{
	return atomic_read(&rtrs_clt_path_con(path, pick->permit)->inflight);
}

/* ------------------------------------------------------------- weights */

static u64 rtrs_clt_weight_none(const struct rtrs_clt_path *path,
				const struct rtrs_clt_pick *pick)
{
	return 0;
}

static u64 rtrs_clt_weight_inflight(const struct rtrs_clt_path *path,
				    const struct rtrs_clt_pick *pick)
{
	return rtrs_clt_path_inflight(path, pick);
}

static struct rtrs_latency *
rtrs_clt_path_latency(const struct rtrs_clt_path *path,
		      const struct rtrs_clt_pick *pick)
{
	return &rtrs_clt_path_con(path, pick->permit)->latency[pick->class];
}

static u64 rtrs_clt_weight_latency(const struct rtrs_clt_path *path,
				   const struct rtrs_clt_pick *pick)
{
	u64 ns = rtrs_latency_expect(rtrs_clt_path_latency(path, pick),
				     rtrs_clt_path_inflight(path, pick) + 1);

	if (path == pick->last && ns != U64_MAX)
		ns -= ns / RTRS_CLT_STAY_PART;
	return ns;
}

static u64 rtrs_clt_weight_node(const struct rtrs_clt_path *path,
				const struct rtrs_clt_pick *pick)
{
	u64 remote = ibdev_to_node(path->dev) == numa_node_id() ?
		     0 : RTRS_CLT_REMOTE;

	return remote + rtrs_clt_path_inflight(path, pick);
}

/* ------------------------------------------------------------- choices */

/* Each policy has a copy of its own, without indirect calls. */
static __always_inline struct rtrs_clt_path *
rtrs_clt_pick_lightest(const struct rtrs_clt_pick *pick,
		       u64 (*weigh)(const struct rtrs_clt_path *path,
				    const struct rtrs_clt_pick *pick))
{
	struct rtrs_clt_path *path, *best = NULL;
	bool behind = false, best_is_behind = false;
	u64 weight, least = 0;

	list_for_each_entry_rcu(path, &pick->sess->paths, entry) {
		if (rtrs_clt_path_is_usable(path)) {
			weight = weigh(path, pick);
			if (!best || weight < least ||
			    (weight == least && behind && !best_is_behind)) {
				best = path;
				best_is_behind = behind;
				least = weight;
			}
		}
		behind |= path == pick->last;
	}
	this_cpu_write(pick->sess->turns->last[pick->class], best);
	return best;
}

static struct rtrs_clt_path *
rtrs_clt_pick_next(const struct rtrs_clt_pick *pick)
{
	return rtrs_clt_pick_lightest(pick, rtrs_clt_weight_none);
}

static struct rtrs_clt_path *
rtrs_clt_pick_idlest(const struct rtrs_clt_pick *pick)
{
	return rtrs_clt_pick_lightest(pick, rtrs_clt_weight_inflight);
}

static struct rtrs_clt_path *
rtrs_clt_pick_nearest(const struct rtrs_clt_pick *pick)
{
	return rtrs_clt_pick_lightest(pick, rtrs_clt_weight_node);
}

/* A path that was not tried for so long that nobody knows how fast it is now, or NULL */
static struct rtrs_clt_path *
rtrs_clt_pick_untried(const struct rtrs_clt_pick *pick, u64 now)
{
	struct rtrs_clt_path *path;

	list_for_each_entry_rcu(path, &pick->sess->paths, entry)
		if (rtrs_clt_path_is_usable(path) &&
		    rtrs_latency_is_due(rtrs_clt_path_latency(path, pick), now))
			return path;
	return NULL;
}

/*
 * One request at a time tries a path: until its answer is there, or it is time to try
 * again, a path of which nothing is known is the last choice.
 */
static struct rtrs_clt_path *
rtrs_clt_pick_fastest(const struct rtrs_clt_pick *pick)
{
	u64 now = ktime_get_ns();
	struct rtrs_clt_path *path =
		rtrs_clt_pick_untried(pick, now) ?:
		rtrs_clt_pick_lightest(pick, rtrs_clt_weight_latency);

	if (path)
		WRITE_ONCE(rtrs_clt_path_latency(path, pick)->tried, now);
	return path;
}

static const struct rtrs_clt_policy rtrs_clt_policies[] = {
	{ "round-robin",	"RR", false,	rtrs_clt_pick_next },
	{ "min-inflight",	"MI", false,	rtrs_clt_pick_idlest },
	{ "min-latency",	"ML", true,	rtrs_clt_pick_fastest },
	{ "numa",		"NU", false,	rtrs_clt_pick_nearest },
};

static struct rtrs_clt_path *
rtrs_clt_first_usable(const struct rtrs_clt_sess *sess)
{
	struct rtrs_clt_path *path;

	list_for_each_entry_rcu(path, &sess->paths, entry)
		if (rtrs_clt_path_is_usable(path))
			return path;
	return NULL;
}

static bool rtrs_clt_path_is_last(const struct rtrs_clt_path *path)
{
	return rcu_access_pointer(list_next_rcu(&path->entry)) ==
	       &path->sess->paths;
}

static struct rtrs_clt_path *
rtrs_clt_path_pick(const struct rtrs_clt_sess *sess,
		   const struct rtrs_permit *permit, unsigned int class)
{
	const struct rtrs_clt_pick pick = {
		.sess	= sess,
		.permit	= permit,
		.class	= class,
		.last	= this_cpu_read(sess->turns->last[class]),
	};

	return READ_ONCE(sess->policy)->pick(&pick);
}

/**
 * rtrs_clt_path_select() - choose a path for a request
 * @sess: session
 * @permit: the request's
 * @dir: READ or WRITE
 * @data_len: bytes of its data
 *
 * Context: inside an RCU read section, which the request has to be posted in.
 * Return: a path that is connected, or NULL if none is.
 */
struct rtrs_clt_path *rtrs_clt_path_select(struct rtrs_clt_sess *sess,
					   const struct rtrs_permit *permit,
					   int dir, size_t data_len)
{
	struct rtrs_clt_path *path = rtrs_clt_first_usable(sess);

	if (!path || permit->admin || rtrs_clt_path_is_last(path))
		return path;
	return rtrs_clt_path_pick(sess, permit,
				  rtrs_latency_class(dir == WRITE, data_len));
}

/* --------------------------------------------------------------- sysfs */

static void rtrs_clt_policy_set(struct rtrs_clt_sess *sess,
				const struct rtrs_clt_policy *policy)
{
	const struct rtrs_clt_policy *old;

	if (policy->timed)
		rtrs_clt_timing_get();
	old = xchg(&sess->policy, policy);
	if (old->timed)
		rtrs_clt_timing_put();
}

static bool rtrs_clt_policy_is(const struct rtrs_clt_policy *policy,
			       const char *word, size_t len)
{
	if (len == 1)
		return *word == '0' + (policy - rtrs_clt_policies);
	return !strncasecmp(word, policy->name, strlen(policy->name)) ||
	       (len == strlen(policy->abbr) &&
		!strncasecmp(word, policy->abbr, len));
}

static ssize_t mpath_policy_show(struct device *dev,
				 struct device_attribute *attr, char *buf)
{
	struct rtrs_clt_sess *sess = container_of(dev, struct rtrs_clt_sess, dev);
	const struct rtrs_clt_policy *policy = READ_ONCE(sess->policy);

	return sysfs_emit(buf, "%s (%s: %td)\n", policy->name, policy->abbr,
			  policy - rtrs_clt_policies);
}

static ssize_t mpath_policy_store(struct device *dev,
				  struct device_attribute *attr,
				  const char *buf, size_t count)
{
	struct rtrs_clt_sess *sess = container_of(dev, struct rtrs_clt_sess, dev);
	size_t len = strcspn(buf, "\n");
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rtrs_clt_policies); i++) {
		if (rtrs_clt_policy_is(&rtrs_clt_policies[i], buf, len)) {
			rtrs_clt_policy_set(sess, &rtrs_clt_policies[i]);
			return count;
		}
	}
	return -EINVAL;
}

struct device_attribute rtrs_clt_mpath_policy = __ATTR_RW(mpath_policy);

/**
 * rtrs_clt_policy_init() - give a new session the default policy
 * @sess: session
 *
 * Return: 0 or -ENOMEM.
 */
int rtrs_clt_policy_init(struct rtrs_clt_sess *sess)
{
	sess->policy = &rtrs_clt_policies[RTRS_CLT_DEFAULT_POLICY];
	sess->turns = alloc_percpu(struct rtrs_clt_turn);
	return sess->turns ? 0 : -ENOMEM;
}

/**
 * rtrs_clt_policy_exit() - undo rtrs_clt_policy_init()
 * @sess: session that nobody uses any more
 */
void rtrs_clt_policy_exit(struct rtrs_clt_sess *sess)
{
	if (sess->policy->timed)
		rtrs_clt_timing_put();
	free_percpu(sess->turns);
}
