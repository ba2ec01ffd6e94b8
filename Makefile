# SPDX-License-Identifier: GPL-2.0-or-later
# Front end to the kernel's build; the modules are described in src/Kbuild.

KDIR ?= /lib/modules/$(shell uname -r)/build
KBUILD := -C $(KDIR) M=$(CURDIR)/src

# Depmod searches it before the kernel's own modules everywhere.
INSTALL_MOD_DIR ?= updates

modules:
	$(MAKE) $(KBUILD) modules

install: modules
	$(MAKE) $(KBUILD) INSTALL_MOD_DIR=$(INSTALL_MOD_DIR) modules_install

# For all kernels: dkms would not replace them.
uninstall:
	rm -f $(foreach module,$(shell sed -n 's/^modules-all.*:= //p' src/Kbuild),\
		$(INSTALL_MOD_PATH)/lib/modules/*/$(INSTALL_MOD_DIR)/$(module).ko*)

# The source as dkms wants it, of both packages. DKMS_VERSION is the version dkms
# knows it by; the .rpm adds its release.
DKMS_VERSION ?= $(shell sed -n 's/^PACKAGE_VERSION="\(.*\)"$$/\1/p' dkms.conf)
DKMS_DIR = $(DESTDIR)/usr/src/rnbd-$(DKMS_VERSION)
# Also where the kernel has the driver, in whatever version.
DKMS_FORCE_DIR = $(DESTDIR)/usr/share/dkms/modules_to_force_install
DKMS_FILES = Makefile compat/configure $(shell find src compat \
	\( -name Kbuild -o -name '*.[ch]' \) ! -name '*.mod.c' ! -name compat-config.h \
	! -name rtrs-interface.h)

install-dkms:
	@mkdir -p $(DKMS_DIR)
	@cp --parents --preserve=mode,timestamps $(DKMS_FILES) $(DKMS_DIR)
	@sed 's/^PACKAGE_VERSION=.*/PACKAGE_VERSION="$(DKMS_VERSION)"/' dkms.conf \
		>$(DKMS_DIR)/dkms.conf
	@mkdir -p $(DKMS_FORCE_DIR)
	@echo rnbd_version-override >$(DKMS_FORCE_DIR)/rnbd

clean:
	@if [ -e $(KDIR)/Makefile ]; then $(MAKE) $(KBUILD) clean; fi
	@$(MAKE) -s -C tests/unit clean

unit: host-packages
	@$(MAKE) -s -C tests/unit

lint: host-packages
	@scripts/lint

compat-verify: host-packages
	@compat/verify $(KDIR)

check: host-packages
	@scripts/check

check-all: host-packages
	@tests/vm/lab check --all --resume

check-debug: host-packages
	@tests/vm/lab check --debug --resume

# MINUTES, SEED, COMBO and MODE as tests/vm/lab soak has them.
MINUTES ?= 60
soak: host-packages
	@tests/vm/lab soak --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) \
		$(if $(COMBO),--combo $(COMBO)) $(if $(MODE),--mode $(MODE))

demo: host-packages
	@tests/vm/lab demo

matrix: host-packages
	@tests/vm/lab matrix $(MATRIX)

bench: host-packages
	@tests/vm/lab bench $(BENCH)

# PACKAGES is where packages go.
PACKAGES ?= packages

deb:
	@scripts/make-deb $(PACKAGES)

rpm:
	@scripts/make-rpm $(PACKAGES)

check-package: host-packages
	@tests/vm/lab package

host-packages:
	@scripts/host-packages

help:
	@echo 'make [modules]      build the five modules for KDIR'
	@echo 'make install        install them, INSTALL_MOD_PATH is the root (default /)'
	@echo 'make uninstall      remove them again, of all kernels; then run depmod'
	@echo 'make install-dkms   put the source where dkms finds it, DESTDIR is the root'
	@echo 'make deb            the Debian packages, in PACKAGES=$(PACKAGES)'
	@echo 'make rpm            the same as .rpm'
	@echo 'make clean          remove what was built'
	@echo 'make unit           unit tests of the wire code, in userspace'
	@echo 'make lint           static checks: sparse, W=1, checkpatch, shellcheck, house rules'
	@echo 'make compat-verify  compile each compat probe alone; must agree with all at once'
	@echo 'make check          lint, unit, and the virtual-machine tests; needs root'
	@echo 'make check-all      every case on every kernel and in all pairs worth testing; many hours,'
	@echo '                    goes on where it was stopped'
	@echo 'make check-debug    the virtual-machine tests on a kernel that looks for bugs; hours'
	@echo 'make soak           random trouble under verified load, MINUTES=$(MINUTES); SEED= repeats it,'
	@echo '                    COMBO=6.1-7.3 and MODE=auto are kernels and always_invalidate; needs root'
	@echo 'make check-package  the packages on Debian 11, 12, 13, from installation to removal; needs root'
	@echo 'make matrix         build for every kernel of the table, from 5.10 on; needs root'
	@echo 'make demo           two virtual machines, one disk between them; needs root'
	@echo 'make bench          instructions and packets per I/O, against nvme-rdma; needs root'
	@echo
	@echo 'KDIR=$(KDIR)'
	@echo 'Also: C=1, W=1, V=1, CC=, LLVM=1 as for any external module;'
	@echo 'MODULES="rtrs-core ..." builds some modules only.'
	@echo 'BENCH="--quick ..." are options for `tests/vm/lab bench`, MATRIX="--verify ..." for matrix.'
	@echo 'deb, rpm, unit, lint, compat-verify, check..., soak, matrix, demo and bench install missing'
	@echo 'Debian packages (root).'

.PHONY: modules install uninstall install-dkms clean deb rpm unit lint compat-verify check check-all \
	check-debug check-package soak matrix demo bench host-packages help
