#!/bin/busybox sh
# First process of the guest: loads the modules, puts a writable layer over the host's file system, runs the scenario
# there and ends QEMU with its exit code. Parameters come by the kernel's command line: isthmus.node=, isthmus.run=,
# isthmus.args= (with commas between), isthmus.dir=, isthmus.cache= (Node's compile cache) and isthmus.for=, what modules it needs. A disk appears in /run/disk,
# the directory that the host sees in /run/out.
bb=/bin/busybox
for applet in mount mkdir sh insmod cat chroot ln sync dd printf; do $bb ln -s busybox /bin/$applet 2>/dev/null; done
export PATH=/bin
mkdir -p /proc /sys /dev /lower /upper /root /out
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for word in $(cat /proc/cmdline); do
  case $word in
    isthmus.node=*) node=${word#*=} ;;
    isthmus.run=*) run=${word#*=} ;;
    isthmus.args=*) args=${word#*=} ;;
    isthmus.dir=*) dir=${word#*=} ;;
    isthmus.cache=*) cache=${word#*=} ;;
    isthmus.for=*) purpose=${word#*=} ;;
  esac
done
while read -r module; do insmod "/modules/$module" || echo "cannot load $module"; done < "/modules/order-$purpose"

mount -t 9p -o trans=virtio,version=9p2000.L,ro,msize=512000,cache=loose host /lower || echo "no host file system"
mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=none out /out
mount -t tmpfs -o size=512m tmpfs /upper
mkdir -p /upper/data /upper/work
mount -t overlay -o lowerdir=/lower,upperdir=/upper/data,workdir=/upper/work overlay /root

mount -t proc proc /root/proc
mount -t sysfs sys /root/sys
mount -t cgroup2 cgroup /root/sys/fs/cgroup
mount -t devtmpfs dev /root/dev
mkdir -p /root/dev/shm /root/dev/pts
mount -t tmpfs tmpfs /root/dev/shm
mount -t devpts devpts /root/dev/pts
mount -t tmpfs tmpfs /root/run
ln -s /proc/self/fd /root/dev/fd
ln -s /proc/self/fd/0 /root/dev/stdin
ln -s /proc/self/fd/1 /root/dev/stdout
ln -s /proc/self/fd/2 /root/dev/stderr

mkdir -p /root/run/out
mount --bind /out /root/run/out
if [ -b /dev/vda ]; then
  mkdir -p /root/run/disk
  mount -t ext4 /dev/vda /root/run/disk || echo "no disk"
fi
cat > /root/run/guest.sh <<SCRIPT
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root
[ -z "$cache" ] || export NODE_COMPILE_CACHE="$cache"
cd "$dir" && exec "$node" --disable-warning=ExperimentalWarning "$run" $(echo "$args" | $bb tr , " ")
SCRIPT
chroot /root /bin/sh /run/guest.sh > /out/output 2> /out/errors < /dev/null
code=$?
echo "$code" > /out/code
sync
# isa-debug-exit: QEMU ends with (code << 1) | 1.
printf "\\x$(printf %02x "$code")" | dd of=/dev/port bs=1 count=1 seek=244 2> /dev/null
echo o > /proc/sysrq-trigger
