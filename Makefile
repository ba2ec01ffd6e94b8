# SPDX-License-Identifier: GPL-2.0-or-later
# Front end to the kernel's build; the modules are described in src/Kbuild.

# The command line alone says what is different from here. The same names in the environment are
# mostly meant for something else, and the kernel's build and its tools read dozens of them.
KEPT := PATH HOME TMPDIR TERM MAKEFLAGS MAKELEVEL KBUILD_SIGN_PIN DEB_BUILD_OPTIONS \
	GNUPGHOME GPG_TTY CI APT_CONFIG http_proxy https_proxy ftp_proxy all_proxy no_proxy \
	RNBD_LAB_CACHE RNBD_LAB_PATIENCE
$(foreach v,$(filter-out $(KEPT),$(.VARIABLES)),\
	$(if $(filter environment%,$(origin $(v))),$(eval unexport $(v))))
export LC_ALL := C

# Make and the kernel's build take a path apart at others.
ODD := $(shell pwd -P | LC_ALL=C tr -d 'A-Za-z0-9/._+=@^~\200-\377\n-')
$(if $(ODD),$(error rnbd cannot be built in a path that has "$(ODD)" in it: move the tree))

KDIR := /lib/modules/$(shell uname -r)/build
KBUILD := -C $(KDIR) M=$(CURDIR)/src

# Depmod searches it before the kernel's own modules everywhere.
INSTALL_MOD_DIR := updates
INSTALL_MOD_PATH :=
MODULES :=

modules: $(KDIR)/Makefile
	$(MAKE) $(KBUILD) modules

$(KDIR)/Makefile:
	@echo 'No kernel headers in $(KDIR): install linux-headers-$(shell uname -r)' \
		'or kernel-devel, or say KDIR=<where they are>.' >&2; exit 1

# Only whoever built the kernel has the key that its build would sign modules with.
SIG_KEY = $(shell sed -n 's/^CONFIG_MODULE_SIG_KEY="\(.*\)"$$/\1/p' $(KDIR)/.config)
SIG_KEY_FOUND = $(filter pkcs11:%,$(SIG_KEY))$(if $(SIG_KEY),$(wildcard $(SIG_KEY) $(KDIR)/$(SIG_KEY)))

# Below this directory of INSTALL_MOD_PATH may be a kernel, or only modules for a package of some.
depmod = if [ -e "$(1)/modules.order" ]; then PATH="$$PATH:/usr/sbin:/sbin" \
	depmod -b "$(INSTALL_MOD_PATH)/" "$$(basename "$(1)")"; fi

# Others than root read modules, too, whatever the umask is. Depmod is run here, because the
# kernel's build wants a System.map for it, and headers have none.
install: modules
	umask 022; chmod a+r src/*.ko; $(MAKE) $(KBUILD) INSTALL_MOD_DIR=$(INSTALL_MOD_DIR) modules_install \
		$(if $(SIG_KEY_FOUND),,CONFIG_MODULE_SIG_ALL=) quiet_cmd_depmod= cmd_depmod=:
	@umask 022; release=$$($(MAKE) -s --no-print-directory $(KBUILD) kernelrelease); \
	$(call depmod,$(INSTALL_MOD_PATH)/lib/modules/$$release)

# For all kernels: dkms would not replace them.
uninstall:
	@umask 022; for dir in $(INSTALL_MOD_PATH)/lib/modules/*; do \
		rm -f $(foreach module,$(shell sed -n 's/^modules-all.*:= //p' src/Kbuild),\
			"$$dir"/$(INSTALL_MOD_DIR)/$(module).ko*); \
		$(call depmod,$$dir); \
	done

# What rnbd-dkms has: the source as dkms wants it, rules for udev, and the directory of what a host
# serves. DKMS_VERSION is the version dkms knows it by; the .rpm adds its release.
DKMS_VERSION := $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"$$/\1/p' dkms.conf)
DESTDIR :=
DKMS_DIR = $(DESTDIR)/usr/src/rnbd-$(DKMS_VERSION)
# Also where the kernel has the driver, in whatever version.
DKMS_FORCE_DIR = $(DESTDIR)/usr/share/dkms/modules_to_force_install
UDEV_DIR = $(DESTDIR)/usr/lib/udev/rules.d
LIB_DIR = $(DESTDIR)/usr/lib/rnbd
DKMS_FILES = Makefile compat/configure compat/fits $(shell find src compat \
	-path src/tools -prune -o \( -name Kbuild -o -name '*.[ch]' \) ! -name '*.mod.c' \
	! -name compat-config.h ! -name rtrs-interface.h -print)

install-dkms:
	@set -e; umask 022; mkdir -p $(DKMS_DIR) $(DKMS_FORCE_DIR) $(UDEV_DIR); \
	cp --parents --preserve=timestamps $(DKMS_FILES) $(DKMS_DIR); \
	sed 's/^PACKAGE_VERSION=.*/PACKAGE_VERSION="$(DKMS_VERSION)"/' dkms.conf \
		>$(DKMS_DIR)/dkms.conf; \
	echo rnbd_version-override >$(DKMS_FORCE_DIR)/rnbd; \
	cp --preserve=timestamps scripts/udev/60-persistent-storage-rnbd.rules $(UDEV_DIR)
	@chmod -R u=rwX,go=rX $(DKMS_DIR) $(DKMS_FORCE_DIR)
	@chmod 644 $(UDEV_DIR)/60-persistent-storage-rnbd.rules
	@umask 022; install -d $(DESTDIR)/etc/rnbd/exports; \
	install -D -m 644 -t $(DESTDIR)/etc/modprobe.d scripts/modprobe.d/00-rnbd-server.conf; \
	install -D -t $(LIB_DIR) scripts/lib/modules-in-use

# The administrator's command, and what belongs to it. PREFIX=/usr is for packages.
PREFIX := /usr/local
SHARE = $(DESTDIR)$(PREFIX)/share
EXAMPLES = $(SHARE)/doc/rnbd-tools/examples

tools:
	@$(MAKE) -s -C src/tools

install-tools: tools
	@umask 022; install -D -m 755 src/tools/rnbd $(DESTDIR)$(PREFIX)/sbin/rnbd
	@umask 022; for page in src/tools/*.[4-8]; do \
		install -D -m 644 "$$page" "$(SHARE)/man/man$${page##*.}/$${page##*/}"; \
	done
	@umask 022; install -D -m 644 src/tools/rnbd.conf.example $(EXAMPLES)/rnbd.conf.example
	@umask 022; install -D -m 644 src/tools/schema/rnbd-1.json $(SHARE)/rnbd/schema/rnbd-1.json
	@umask 022; install -D -m 644 scripts/completion/rnbd \
		$(SHARE)/bash-completion/completions/rnbd

# What maps and serves at boot: units of systemd, and scripts for hosts without.
UNIT_DIR := $(DESTDIR)/lib/systemd/system
CONFIG_DIR = $(DESTDIR)/etc/rnbd

install-services:
	@umask 022; install -d $(CONFIG_DIR)/rnbd.conf.d; \
	install -m 644 -t $(CONFIG_DIR) src/tools/rnbd.conf; \
	install -D -m 644 scripts/default/rnbd $(DESTDIR)/etc/default/rnbd; \
	install -D -t $(LIB_DIR) scripts/lib/unmap-all scripts/lib/limit-waiting; \
	install -m 644 -t $(LIB_DIR) scripts/lib/shutdown.sh; \
	install -D -m 644 -t $(UNIT_DIR) scripts/systemd/*.service scripts/systemd/*.target

install-init-scripts:
	@umask 022; install -D -t $(DESTDIR)/etc/init.d scripts/init.d/*; \
	install -D -t $(LIB_DIR) scripts/lib/map-in-background scripts/lib/mount-mapped

clean:
	@if [ -e $(KDIR)/Makefile ]; then $(MAKE) $(KBUILD) clean; fi
	@$(MAKE) -s -C src/tools clean
	@$(MAKE) -s -C tests/unit clean
	@$(MAKE) -s -C tests/command clean
	@$(MAKE) -s -C tests/register clean

unit: host-packages
	@$(MAKE) -s -C tests/unit
	@$(MAKE) -s -C tests/command
	@$(MAKE) -s -C tests/packages
	@$(MAKE) -s -C tests/model
	@$(MAKE) -s -C tests/register

RUNS := 1000000
fuzz:
	@scripts/host-packages clang libclang-rt-dev
	@$(MAKE) -s -C tests/command fuzz RUNS=$(RUNS)

model: host-packages
	@$(MAKE) -s -C tests/model larger

lint: host-packages
	@scripts/lint $(KDIR) $(MODULES)

compat-verify: host-packages
	@compat/verify $(KDIR)

check: host-packages
	@scripts/check

check-all: model
	@tests/vm/lab check --all --resume

check-debug: host-packages
	@tests/vm/lab check --debug --resume

# MINUTES, SEED, COMBO and MODE as tests/vm/lab soak has them.
MINUTES := 60
SEED :=
COMBO :=
MODE :=
soak: host-packages
	@tests/vm/lab soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) \
		$(if $(COMBO),--combo $(COMBO)) $(if $(MODE),--mode $(MODE))

demo: host-packages
	@tests/vm/lab demo

MATRIX :=
matrix: host-packages
	@tests/vm/lab matrix $(MATRIX)

BENCH :=
bench: host-packages
	@tests/vm/lab bench $(BENCH)

# PACKAGES is where packages go.
PACKAGES := packages

deb:
	@scripts/make-deb $(PACKAGES)

rpm:
	@scripts/make-rpm $(PACKAGES)

# KEY is the maintainer's, of gpg; REPO is where the repository is.
KEY :=
REPO := dist

repo:
	@scripts/make-repo "$(KEY)" "$(REPO)"

check-package: host-packages
	@tests/vm/lab package

check-boots: host-packages
	@tests/vm/lab boots

host-packages:
	@scripts/host-packages

help:
	@echo 'make [modules]      build the five modules for KDIR'
	@echo 'make install        install them, INSTALL_MOD_PATH is the root (default /)'
	@echo 'make uninstall      remove them again, of all kernels'
	@echo 'make install-dkms   put the source where dkms finds it, and udev rules, DESTDIR is the root'
	@echo 'make deb            the Debian packages, in PACKAGES=$(PACKAGES)'
	@echo 'make rpm            the same as .rpm'
	@echo 'make repo           add them to a repository for apt and dnf, in REPO=$(REPO); KEY= is your key of gpg'
	@echo 'make tools          the command rnbd; needs libsmartcols-dev, librdmacm-dev, libibverbs-dev, libyaml-dev'
	@echo 'make install-tools  install it, its manuals and completion below PREFIX=$(PREFIX)'
	@echo 'make install-services  what maps and serves at boot, DESTDIR is the root;'
	@echo '                    install-init-scripts: the same for hosts without systemd'
	@echo 'make clean          remove what was built'
	@echo 'make unit           unit tests of the wire code and of the command, in userspace; the model'
	@echo 'make model          the model of failover with larger bounds; minutes, up to 6 GiB of memory'
	@echo 'make fuzz           RUNS=$(RUNS) random files for what reads the configuration'
	@echo 'make lint           static checks: sparse, W=1, checkpatch, shellcheck, house rules'
	@echo 'make compat-verify  compile each compat probe alone; must agree with all at once'
	@echo 'make check          lint, unit, and the virtual-machine tests; needs root'
	@echo 'make check-all      every case on every kernel and in all pairs worth testing; many hours,'
	@echo '                    goes on where it was stopped'
	@echo 'make check-debug    the virtual-machine tests on a kernel that looks for bugs; hours'
	@echo 'make soak           random trouble under verified load, MINUTES=$(MINUTES); SEED= repeats it,'
	@echo '                    COMBO=6.1-7.3 and MODE=auto are kernels and always_invalidate; needs root'
	@echo 'make check-package  the packages on Debian 11, 12, 13, from installation to removal; needs root'
	@echo 'make check-boots    hosts with systemd and sysvinit that map and mount at boot; needs root'
	@echo 'make matrix         build for every kernel of the table, from 5.10 on; needs root'
	@echo 'make demo           two virtual machines, one disk between them; needs root'
	@echo 'make bench          instructions and packets per I/O, against nvme-rdma; needs root'
	@echo
	@echo 'KDIR=$(KDIR)'
	@echo 'Also: C=1, W=1, V=1, CC=, LLVM=1 as for any external module;'
	@echo 'MODULES="rtrs-core ..." builds some modules only.'
	@echo 'BENCH="--quick ..." are options for `tests/vm/lab bench`, MATRIX="--verify ..." for matrix.'
	@echo 'deb, rpm, repo, unit, fuzz, lint, compat-verify, check..., soak, matrix, demo and bench install missing'
	@echo 'Debian packages (root).'

.PHONY: modules install uninstall install-dkms tools install-tools \
	install-services install-init-scripts clean deb rpm repo unit model fuzz lint \
	compat-verify check check-all check-debug check-package check-boots soak matrix demo bench host-packages help
