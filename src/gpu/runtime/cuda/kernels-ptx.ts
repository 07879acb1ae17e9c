/*
 * PTX of tools/kernels/kernels.cu. Made by tools/kernels/compile.py; not to be edited.
 */

/** SHA-256 of the source. */
export const KERNELS_SOURCE_SHA256 = '14e214624ca2415cf05050a45713707402277f271babfc0ea420a6e578013f38';

export const KERNELS_PTX = `.version 9.0
.target sm_75
.address_size 64

	// .globl	group_sums_float32

.visible .entry group_sums_float32(
	.param .u64 group_sums_float32_param_0,
	.param .u64 group_sums_float32_param_1,
	.param .u32 group_sums_float32_param_2,
	.param .u32 group_sums_float32_param_3
)
{
	.reg .pred 	%p<29>;
	.reg .f32 	%f<137>;
	.reg .b32 	%r<88>;
	.reg .f64 	%fd<63>;
	.reg .b64 	%rd<29>;
	// demoted variable
	.shared .align 8 .b8 _ZZ18group_sums_float32E4room[64];

	ld.param.u64 	%rd11, [group_sums_float32_param_0];
	ld.param.u64 	%rd10, [group_sums_float32_param_1];
	ld.param.u32 	%r17, [group_sums_float32_param_2];
	ld.param.u32 	%r18, [group_sums_float32_param_3];
	mov.u32 	%r1, %ctaid.y;
	cvt.u64.u32 	%rd12, %r1;
	cvt.s64.s32 	%rd13, %r17;
	mul.lo.s64 	%rd1, %rd13, %rd12;
	cvta.to.global.u64 	%rd2, %rd11;
	shl.b64 	%rd14, %rd1, 4;
	add.s64 	%rd15, %rd2, %rd14;
	ld.global.f32 	%f1, [%rd15];
	mov.u32 	%r2, %ctaid.x;
	add.s32 	%r19, %r2, 1;
	mul.lo.s32 	%r20, %r19, %r18;
	min.s32 	%r3, %r20, %r17;
	mul.lo.s32 	%r4, %r2, %r18;
	mov.u32 	%r5, %tid.x;
	add.s32 	%r86, %r4, %r5;
	setp.ge.s32 	%p1, %r86, %r3;
	mov.f64 	%fd61, 0d0000000000000000;
	mov.f64 	%fd62, %fd61;
	@%p1 bra 	$L__BB0_8;

	mov.u32 	%r21, -2;
	sub.s32 	%r22, %r21, %r4;
	sub.s32 	%r23, %r22, %r5;
	not.b32 	%r24, %r3;
	sub.s32 	%r7, %r23, %r24;
	shr.u32 	%r25, %r7, 8;
	add.s32 	%r26, %r25, 1;
	and.b32  	%r85, %r26, 3;
	setp.eq.s32 	%p2, %r85, 0;
	mov.f32 	%f136, 0f00000000;
	mov.f32 	%f135, %f136;
	@%p2 bra 	$L__BB0_4;

	cvt.s64.s32 	%rd16, %r86;
	add.s64 	%rd17, %rd1, %rd16;
	shl.b64 	%rd18, %rd17, 4;
	add.s64 	%rd27, %rd2, %rd18;
	mov.f32 	%f136, 0f00000000;

$L__BB0_3:
	.pragma "nounroll";
	ld.global.v4.f32 	{%f21, %f22, %f23, %f24}, [%rd27];
	sub.f32 	%f29, %f21, %f1;
	sub.f32 	%f30, %f22, %f1;
	sub.f32 	%f31, %f23, %f1;
	sub.f32 	%f32, %f24, %f1;
	add.f32 	%f33, %f29, %f30;
	add.f32 	%f34, %f31, %f32;
	add.f32 	%f35, %f33, %f34;
	add.f32 	%f135, %f135, %f35;
	mul.f32 	%f36, %f30, %f30;
	fma.rn.f32 	%f37, %f29, %f29, %f36;
	mul.f32 	%f38, %f32, %f32;
	fma.rn.f32 	%f39, %f31, %f31, %f38;
	add.f32 	%f40, %f37, %f39;
	add.f32 	%f136, %f136, %f40;
	add.s32 	%r86, %r86, 256;
	add.s64 	%rd27, %rd27, 4096;
	add.s32 	%r85, %r85, -1;
	setp.ne.s32 	%p3, %r85, 0;
	@%p3 bra 	$L__BB0_3;

$L__BB0_4:
	setp.lt.u32 	%p4, %r7, 768;
	@%p4 bra 	$L__BB0_7;

	cvt.s64.s32 	%rd19, %r86;
	add.s64 	%rd20, %rd1, %rd19;
	shl.b64 	%rd21, %rd20, 4;
	add.s64 	%rd28, %rd2, %rd21;

$L__BB0_6:
	ld.global.v4.f32 	{%f41, %f42, %f43, %f44}, [%rd28];
	sub.f32 	%f49, %f41, %f1;
	sub.f32 	%f50, %f42, %f1;
	sub.f32 	%f51, %f43, %f1;
	sub.f32 	%f52, %f44, %f1;
	add.f32 	%f53, %f49, %f50;
	add.f32 	%f54, %f51, %f52;
	add.f32 	%f55, %f53, %f54;
	add.f32 	%f56, %f135, %f55;
	mul.f32 	%f57, %f50, %f50;
	fma.rn.f32 	%f58, %f49, %f49, %f57;
	mul.f32 	%f59, %f52, %f52;
	fma.rn.f32 	%f60, %f51, %f51, %f59;
	add.f32 	%f61, %f58, %f60;
	add.f32 	%f62, %f136, %f61;
	ld.global.v4.f32 	{%f63, %f64, %f65, %f66}, [%rd28+4096];
	sub.f32 	%f71, %f63, %f1;
	sub.f32 	%f72, %f64, %f1;
	sub.f32 	%f73, %f65, %f1;
	sub.f32 	%f74, %f66, %f1;
	add.f32 	%f75, %f71, %f72;
	add.f32 	%f76, %f73, %f74;
	add.f32 	%f77, %f75, %f76;
	add.f32 	%f78, %f56, %f77;
	mul.f32 	%f79, %f72, %f72;
	fma.rn.f32 	%f80, %f71, %f71, %f79;
	mul.f32 	%f81, %f74, %f74;
	fma.rn.f32 	%f82, %f73, %f73, %f81;
	add.f32 	%f83, %f80, %f82;
	add.f32 	%f84, %f62, %f83;
	ld.global.v4.f32 	{%f85, %f86, %f87, %f88}, [%rd28+8192];
	sub.f32 	%f93, %f85, %f1;
	sub.f32 	%f94, %f86, %f1;
	sub.f32 	%f95, %f87, %f1;
	sub.f32 	%f96, %f88, %f1;
	add.f32 	%f97, %f93, %f94;
	add.f32 	%f98, %f95, %f96;
	add.f32 	%f99, %f97, %f98;
	add.f32 	%f100, %f78, %f99;
	mul.f32 	%f101, %f94, %f94;
	fma.rn.f32 	%f102, %f93, %f93, %f101;
	mul.f32 	%f103, %f96, %f96;
	fma.rn.f32 	%f104, %f95, %f95, %f103;
	add.f32 	%f105, %f102, %f104;
	add.f32 	%f106, %f84, %f105;
	ld.global.v4.f32 	{%f107, %f108, %f109, %f110}, [%rd28+12288];
	sub.f32 	%f115, %f107, %f1;
	sub.f32 	%f116, %f108, %f1;
	sub.f32 	%f117, %f109, %f1;
	sub.f32 	%f118, %f110, %f1;
	add.f32 	%f119, %f115, %f116;
	add.f32 	%f120, %f117, %f118;
	add.f32 	%f121, %f119, %f120;
	add.f32 	%f135, %f100, %f121;
	mul.f32 	%f122, %f116, %f116;
	fma.rn.f32 	%f123, %f115, %f115, %f122;
	mul.f32 	%f124, %f118, %f118;
	fma.rn.f32 	%f125, %f117, %f117, %f124;
	add.f32 	%f126, %f123, %f125;
	add.f32 	%f136, %f106, %f126;
	add.s64 	%rd28, %rd28, 16384;
	add.s32 	%r86, %r86, 1024;
	setp.lt.s32 	%p5, %r86, %r3;
	@%p5 bra 	$L__BB0_6;

$L__BB0_7:
	cvt.f64.f32 	%fd61, %f135;
	cvt.f64.f32 	%fd62, %f136;

$L__BB0_8:
	// begin inline asm
	mov.b64 {%r27,%r28}, %fd61;
	// end inline asm
	mov.u32 	%r47, 31;
	mov.u32 	%r48, 16;
	mov.u32 	%r49, -1;
	shfl.sync.bfly.b32 	%r30|%p6, %r28, %r48, %r47, %r49;
	shfl.sync.bfly.b32 	%r29|%p7, %r27, %r48, %r47, %r49;
	// begin inline asm
	mov.b64 %fd11, {%r29,%r30};
	// end inline asm
	add.f64 	%fd12, %fd61, %fd11;
	// begin inline asm
	mov.b64 {%r31,%r32}, %fd12;
	// end inline asm
	mov.u32 	%r50, 8;
	shfl.sync.bfly.b32 	%r34|%p8, %r32, %r50, %r47, %r49;
	shfl.sync.bfly.b32 	%r33|%p9, %r31, %r50, %r47, %r49;
	// begin inline asm
	mov.b64 %fd13, {%r33,%r34};
	// end inline asm
	add.f64 	%fd14, %fd12, %fd13;
	// begin inline asm
	mov.b64 {%r35,%r36}, %fd14;
	// end inline asm
	mov.u32 	%r51, 4;
	shfl.sync.bfly.b32 	%r38|%p10, %r36, %r51, %r47, %r49;
	shfl.sync.bfly.b32 	%r37|%p11, %r35, %r51, %r47, %r49;
	// begin inline asm
	mov.b64 %fd15, {%r37,%r38};
	// end inline asm
	add.f64 	%fd16, %fd14, %fd15;
	// begin inline asm
	mov.b64 {%r39,%r40}, %fd16;
	// end inline asm
	mov.u32 	%r52, 2;
	shfl.sync.bfly.b32 	%r42|%p12, %r40, %r52, %r47, %r49;
	shfl.sync.bfly.b32 	%r41|%p13, %r39, %r52, %r47, %r49;
	// begin inline asm
	mov.b64 %fd17, {%r41,%r42};
	// end inline asm
	add.f64 	%fd18, %fd16, %fd17;
	// begin inline asm
	mov.b64 {%r43,%r44}, %fd18;
	// end inline asm
	mov.u32 	%r53, 1;
	shfl.sync.bfly.b32 	%r46|%p14, %r44, %r53, %r47, %r49;
	shfl.sync.bfly.b32 	%r45|%p15, %r43, %r53, %r47, %r49;
	// begin inline asm
	mov.b64 %fd19, {%r45,%r46};
	// end inline asm
	add.f64 	%fd5, %fd18, %fd19;
	bar.sync 	0;
	and.b32  	%r16, %r5, 31;
	setp.ne.s32 	%p16, %r16, 0;
	shr.u32 	%r54, %r5, 5;
	mul.wide.u32 	%rd22, %r54, 8;
	mov.u64 	%rd23, _ZZ18group_sums_float32E4room;
	add.s64 	%rd9, %rd23, %rd22;
	@%p16 bra 	$L__BB0_10;

	st.shared.f64 	[%rd9], %fd5;

$L__BB0_10:
	bar.sync 	0;
	ld.shared.f64 	%fd30, [_ZZ18group_sums_float32E4room];
	add.f64 	%fd31, %fd30, 0d0000000000000000;
	ld.shared.f64 	%fd32, [_ZZ18group_sums_float32E4room+8];
	add.f64 	%fd33, %fd31, %fd32;
	ld.shared.f64 	%fd34, [_ZZ18group_sums_float32E4room+16];
	add.f64 	%fd35, %fd33, %fd34;
	ld.shared.f64 	%fd36, [_ZZ18group_sums_float32E4room+24];
	add.f64 	%fd37, %fd35, %fd36;
	ld.shared.f64 	%fd38, [_ZZ18group_sums_float32E4room+32];
	add.f64 	%fd39, %fd37, %fd38;
	ld.shared.f64 	%fd40, [_ZZ18group_sums_float32E4room+40];
	add.f64 	%fd41, %fd39, %fd40;
	ld.shared.f64 	%fd42, [_ZZ18group_sums_float32E4room+48];
	add.f64 	%fd43, %fd41, %fd42;
	ld.shared.f64 	%fd44, [_ZZ18group_sums_float32E4room+56];
	add.f64 	%fd6, %fd43, %fd44;
	// begin inline asm
	mov.b64 {%r55,%r56}, %fd62;
	// end inline asm
	shfl.sync.bfly.b32 	%r58|%p18, %r56, %r48, %r47, %r49;
	shfl.sync.bfly.b32 	%r57|%p19, %r55, %r48, %r47, %r49;
	// begin inline asm
	mov.b64 %fd21, {%r57,%r58};
	// end inline asm
	add.f64 	%fd22, %fd62, %fd21;
	// begin inline asm
	mov.b64 {%r59,%r60}, %fd22;
	// end inline asm
	shfl.sync.bfly.b32 	%r62|%p20, %r60, %r50, %r47, %r49;
	shfl.sync.bfly.b32 	%r61|%p21, %r59, %r50, %r47, %r49;
	// begin inline asm
	mov.b64 %fd23, {%r61,%r62};
	// end inline asm
	add.f64 	%fd24, %fd22, %fd23;
	// begin inline asm
	mov.b64 {%r63,%r64}, %fd24;
	// end inline asm
	shfl.sync.bfly.b32 	%r66|%p22, %r64, %r51, %r47, %r49;
	shfl.sync.bfly.b32 	%r65|%p23, %r63, %r51, %r47, %r49;
	// begin inline asm
	mov.b64 %fd25, {%r65,%r66};
	// end inline asm
	add.f64 	%fd26, %fd24, %fd25;
	// begin inline asm
	mov.b64 {%r67,%r68}, %fd26;
	// end inline asm
	shfl.sync.bfly.b32 	%r70|%p24, %r68, %r52, %r47, %r49;
	shfl.sync.bfly.b32 	%r69|%p25, %r67, %r52, %r47, %r49;
	// begin inline asm
	mov.b64 %fd27, {%r69,%r70};
	// end inline asm
	add.f64 	%fd28, %fd26, %fd27;
	// begin inline asm
	mov.b64 {%r71,%r72}, %fd28;
	// end inline asm
	shfl.sync.bfly.b32 	%r74|%p26, %r72, %r53, %r47, %r49;
	shfl.sync.bfly.b32 	%r73|%p27, %r71, %r53, %r47, %r49;
	// begin inline asm
	mov.b64 %fd29, {%r73,%r74};
	// end inline asm
	add.f64 	%fd7, %fd28, %fd29;
	bar.sync 	0;
	@%p16 bra 	$L__BB0_12;

	st.shared.f64 	[%rd9], %fd7;

$L__BB0_12:
	bar.sync 	0;
	setp.ne.s32 	%p28, %r5, 0;
	@%p28 bra 	$L__BB0_14;

	ld.shared.f64 	%fd45, [_ZZ18group_sums_float32E4room];
	ld.shared.f64 	%fd46, [_ZZ18group_sums_float32E4room+8];
	ld.shared.f64 	%fd47, [_ZZ18group_sums_float32E4room+16];
	ld.shared.f64 	%fd48, [_ZZ18group_sums_float32E4room+24];
	ld.shared.f64 	%fd49, [_ZZ18group_sums_float32E4room+32];
	ld.shared.f64 	%fd50, [_ZZ18group_sums_float32E4room+40];
	ld.shared.f64 	%fd51, [_ZZ18group_sums_float32E4room+48];
	ld.shared.f64 	%fd52, [_ZZ18group_sums_float32E4room+56];
	mov.u32 	%r82, %nctaid.x;
	mad.lo.s32 	%r83, %r1, %r82, %r2;
	cvta.to.global.u64 	%rd24, %rd10;
	mul.wide.u32 	%rd25, %r83, 16;
	add.s64 	%rd26, %rd24, %rd25;
	add.f64 	%fd53, %fd45, 0d0000000000000000;
	add.f64 	%fd54, %fd53, %fd46;
	add.f64 	%fd55, %fd54, %fd47;
	add.f64 	%fd56, %fd55, %fd48;
	add.f64 	%fd57, %fd56, %fd49;
	add.f64 	%fd58, %fd57, %fd50;
	add.f64 	%fd59, %fd58, %fd51;
	add.f64 	%fd60, %fd59, %fd52;
	st.global.v2.f64 	[%rd26], {%fd6, %fd60};

$L__BB0_14:
	ret;

}
	// .globl	group_norm_float32
.visible .entry group_norm_float32(
	.param .u64 group_norm_float32_param_0,
	.param .u64 group_norm_float32_param_1,
	.param .u64 group_norm_float32_param_2,
	.param .u64 group_norm_float32_param_3,
	.param .u64 group_norm_float32_param_4,
	.param .u32 group_norm_float32_param_5,
	.param .u32 group_norm_float32_param_6,
	.param .u32 group_norm_float32_param_7,
	.param .u32 group_norm_float32_param_8,
	.param .f32 group_norm_float32_param_9,
	.param .u32 group_norm_float32_param_10
)
{
	.reg .pred 	%p<33>;
	.reg .f32 	%f<156>;
	.reg .b32 	%r<118>;
	.reg .f64 	%fd<85>;
	.reg .b64 	%rd<67>;
	// demoted variable
	.shared .align 8 .b8 _ZZ18group_norm_float32E4room[64];

	ld.param.u64 	%rd24, [group_norm_float32_param_0];
	ld.param.u64 	%rd23, [group_norm_float32_param_1];
	ld.param.u64 	%rd25, [group_norm_float32_param_2];
	ld.param.u64 	%rd26, [group_norm_float32_param_3];
	ld.param.u64 	%rd27, [group_norm_float32_param_4];
	ld.param.u32 	%r24, [group_norm_float32_param_5];
	ld.param.u32 	%r26, [group_norm_float32_param_7];
	ld.param.u32 	%r28, [group_norm_float32_param_10];
	cvta.to.global.u64 	%rd1, %rd27;
	cvta.to.global.u64 	%rd2, %rd26;
	cvta.to.global.u64 	%rd3, %rd25;
	cvta.to.global.u64 	%rd4, %rd24;
	mov.u32 	%r1, %ctaid.y;
	cvt.u64.u32 	%rd28, %r1;
	cvt.s64.s32 	%rd29, %r24;
	mul.lo.s64 	%rd5, %rd29, %rd28;
	mov.u32 	%r2, %nctaid.x;
	mov.u32 	%r3, %tid.x;
	setp.ge.u32 	%p1, %r3, %r2;
	mov.f64 	%fd83, 0d0000000000000000;
	mov.f64 	%fd84, %fd83;
	@%p1 bra 	$L__BB1_3;

	mad.lo.s32 	%r112, %r1, %r2, %r3;
	cvta.to.global.u64 	%rd6, %rd23;
	mov.f64 	%fd84, 0d0000000000000000;
	mov.u32 	%r113, %r3;
	mov.f64 	%fd83, %fd84;

$L__BB1_2:
	mul.wide.u32 	%rd30, %r112, 16;
	add.s64 	%rd31, %rd6, %rd30;
	ld.global.v2.f64 	{%fd15, %fd16}, [%rd31];
	add.f64 	%fd83, %fd83, %fd15;
	add.f64 	%fd84, %fd84, %fd16;
	add.s32 	%r112, %r112, 256;
	add.s32 	%r113, %r113, 256;
	setp.lt.u32 	%p2, %r113, %r2;
	@%p2 bra 	$L__BB1_2;

$L__BB1_3:
	// begin inline asm
	mov.b64 {%r29,%r30}, %fd83;
	// end inline asm
	mov.u32 	%r49, 31;
	mov.u32 	%r50, 16;
	mov.u32 	%r51, -1;
	shfl.sync.bfly.b32 	%r32|%p3, %r30, %r50, %r49, %r51;
	shfl.sync.bfly.b32 	%r31|%p4, %r29, %r50, %r49, %r51;
	// begin inline asm
	mov.b64 %fd20, {%r31,%r32};
	// end inline asm
	add.f64 	%fd21, %fd83, %fd20;
	// begin inline asm
	mov.b64 {%r33,%r34}, %fd21;
	// end inline asm
	mov.u32 	%r52, 8;
	shfl.sync.bfly.b32 	%r36|%p5, %r34, %r52, %r49, %r51;
	shfl.sync.bfly.b32 	%r35|%p6, %r33, %r52, %r49, %r51;
	// begin inline asm
	mov.b64 %fd22, {%r35,%r36};
	// end inline asm
	add.f64 	%fd23, %fd21, %fd22;
	// begin inline asm
	mov.b64 {%r37,%r38}, %fd23;
	// end inline asm
	mov.u32 	%r53, 4;
	shfl.sync.bfly.b32 	%r40|%p7, %r38, %r53, %r49, %r51;
	shfl.sync.bfly.b32 	%r39|%p8, %r37, %r53, %r49, %r51;
	// begin inline asm
	mov.b64 %fd24, {%r39,%r40};
	// end inline asm
	add.f64 	%fd25, %fd23, %fd24;
	// begin inline asm
	mov.b64 {%r41,%r42}, %fd25;
	// end inline asm
	mov.u32 	%r54, 2;
	shfl.sync.bfly.b32 	%r44|%p9, %r42, %r54, %r49, %r51;
	shfl.sync.bfly.b32 	%r43|%p10, %r41, %r54, %r49, %r51;
	// begin inline asm
	mov.b64 %fd26, {%r43,%r44};
	// end inline asm
	add.f64 	%fd27, %fd25, %fd26;
	// begin inline asm
	mov.b64 {%r45,%r46}, %fd27;
	// end inline asm
	mov.u32 	%r55, 1;
	shfl.sync.bfly.b32 	%r48|%p11, %r46, %r55, %r49, %r51;
	shfl.sync.bfly.b32 	%r47|%p12, %r45, %r55, %r49, %r51;
	// begin inline asm
	mov.b64 %fd28, {%r47,%r48};
	// end inline asm
	add.f64 	%fd7, %fd27, %fd28;
	bar.sync 	0;
	and.b32  	%r9, %r3, 31;
	setp.ne.s32 	%p13, %r9, 0;
	shr.u32 	%r56, %r3, 5;
	mul.wide.u32 	%rd32, %r56, 8;
	mov.u64 	%rd33, _ZZ18group_norm_float32E4room;
	add.s64 	%rd7, %rd33, %rd32;
	@%p13 bra 	$L__BB1_5;

	st.shared.f64 	[%rd7], %fd7;

$L__BB1_5:
	cvt.rn.f64.s32 	%fd39, %r24;
	mul.f64 	%fd8, %fd39, 0d4010000000000000;
	bar.sync 	0;
	ld.shared.f64 	%fd40, [_ZZ18group_norm_float32E4room];
	add.f64 	%fd41, %fd40, 0d0000000000000000;
	ld.shared.f64 	%fd42, [_ZZ18group_norm_float32E4room+8];
	add.f64 	%fd43, %fd41, %fd42;
	ld.shared.f64 	%fd44, [_ZZ18group_norm_float32E4room+16];
	add.f64 	%fd45, %fd43, %fd44;
	ld.shared.f64 	%fd46, [_ZZ18group_norm_float32E4room+24];
	add.f64 	%fd47, %fd45, %fd46;
	ld.shared.f64 	%fd48, [_ZZ18group_norm_float32E4room+32];
	add.f64 	%fd49, %fd47, %fd48;
	ld.shared.f64 	%fd50, [_ZZ18group_norm_float32E4room+40];
	add.f64 	%fd51, %fd49, %fd50;
	ld.shared.f64 	%fd52, [_ZZ18group_norm_float32E4room+48];
	add.f64 	%fd53, %fd51, %fd52;
	ld.shared.f64 	%fd54, [_ZZ18group_norm_float32E4room+56];
	add.f64 	%fd9, %fd53, %fd54;
	// begin inline asm
	mov.b64 {%r57,%r58}, %fd84;
	// end inline asm
	shfl.sync.bfly.b32 	%r60|%p15, %r58, %r50, %r49, %r51;
	shfl.sync.bfly.b32 	%r59|%p16, %r57, %r50, %r49, %r51;
	// begin inline asm
	mov.b64 %fd30, {%r59,%r60};
	// end inline asm
	add.f64 	%fd31, %fd84, %fd30;
	// begin inline asm
	mov.b64 {%r61,%r62}, %fd31;
	// end inline asm
	shfl.sync.bfly.b32 	%r64|%p17, %r62, %r52, %r49, %r51;
	shfl.sync.bfly.b32 	%r63|%p18, %r61, %r52, %r49, %r51;
	// begin inline asm
	mov.b64 %fd32, {%r63,%r64};
	// end inline asm
	add.f64 	%fd33, %fd31, %fd32;
	// begin inline asm
	mov.b64 {%r65,%r66}, %fd33;
	// end inline asm
	shfl.sync.bfly.b32 	%r68|%p19, %r66, %r53, %r49, %r51;
	shfl.sync.bfly.b32 	%r67|%p20, %r65, %r53, %r49, %r51;
	// begin inline asm
	mov.b64 %fd34, {%r67,%r68};
	// end inline asm
	add.f64 	%fd35, %fd33, %fd34;
	// begin inline asm
	mov.b64 {%r69,%r70}, %fd35;
	// end inline asm
	shfl.sync.bfly.b32 	%r72|%p21, %r70, %r54, %r49, %r51;
	shfl.sync.bfly.b32 	%r71|%p22, %r69, %r54, %r49, %r51;
	// begin inline asm
	mov.b64 %fd36, {%r71,%r72};
	// end inline asm
	add.f64 	%fd37, %fd35, %fd36;
	// begin inline asm
	mov.b64 {%r73,%r74}, %fd37;
	// end inline asm
	shfl.sync.bfly.b32 	%r76|%p23, %r74, %r55, %r49, %r51;
	shfl.sync.bfly.b32 	%r75|%p24, %r73, %r55, %r49, %r51;
	// begin inline asm
	mov.b64 %fd38, {%r75,%r76};
	// end inline asm
	add.f64 	%fd10, %fd37, %fd38;
	bar.sync 	0;
	@%p13 bra 	$L__BB1_7;

	st.shared.f64 	[%rd7], %fd10;

$L__BB1_7:
	ld.param.u32 	%r111, [group_norm_float32_param_6];
	ld.param.u32 	%r110, [group_norm_float32_param_8];
	ld.param.f32 	%f155, [group_norm_float32_param_9];
	mov.u32 	%r109, %ctaid.y;
	div.rn.f64 	%fd55, %fd9, %fd8;
	bar.sync 	0;
	ld.shared.f64 	%fd56, [_ZZ18group_norm_float32E4room];
	add.f64 	%fd57, %fd56, 0d0000000000000000;
	ld.shared.f64 	%fd58, [_ZZ18group_norm_float32E4room+8];
	add.f64 	%fd59, %fd57, %fd58;
	ld.shared.f64 	%fd60, [_ZZ18group_norm_float32E4room+16];
	add.f64 	%fd61, %fd59, %fd60;
	ld.shared.f64 	%fd62, [_ZZ18group_norm_float32E4room+24];
	add.f64 	%fd63, %fd61, %fd62;
	ld.shared.f64 	%fd64, [_ZZ18group_norm_float32E4room+32];
	add.f64 	%fd65, %fd63, %fd64;
	ld.shared.f64 	%fd66, [_ZZ18group_norm_float32E4room+40];
	add.f64 	%fd67, %fd65, %fd66;
	ld.shared.f64 	%fd68, [_ZZ18group_norm_float32E4room+48];
	add.f64 	%fd69, %fd67, %fd68;
	ld.shared.f64 	%fd70, [_ZZ18group_norm_float32E4room+56];
	add.f64 	%fd71, %fd69, %fd70;
	div.rn.f64 	%fd72, %fd71, %fd8;
	mul.f64 	%fd73, %fd55, %fd55;
	sub.f64 	%fd74, %fd72, %fd73;
	shl.b64 	%rd34, %rd5, 4;
	add.s64 	%rd8, %rd4, %rd34;
	ld.global.f32 	%f4, [%rd8];
	cvt.f64.f32 	%fd75, %f4;
	add.f64 	%fd76, %fd55, %fd75;
	cvt.rn.f32.f64 	%f1, %fd76;
	max.f64 	%fd77, %fd74, 0d0000000000000000;
	cvt.f64.f32 	%fd78, %f155;
	add.f64 	%fd79, %fd77, %fd78;
	rsqrt.approx.f64 	%fd80, %fd79;
	cvt.rn.f32.f64 	%f2, %fd80;
	div.s32 	%r84, %r24, %r26;
	rem.u32 	%r85, %r109, %r110;
	mul.lo.s32 	%r10, %r84, %r85;
	mov.u32 	%r86, %ctaid.x;
	add.s32 	%r87, %r86, 1;
	mul.lo.s32 	%r88, %r87, %r111;
	min.s32 	%r11, %r88, %r24;
	mul.lo.s32 	%r12, %r86, %r111;
	add.s32 	%r114, %r12, %r3;
	setp.ge.s32 	%p25, %r114, %r11;
	@%p25 bra 	$L__BB1_19;

	setp.eq.s32 	%p26, %r28, 0;
	mov.u32 	%r89, -2;
	sub.s32 	%r90, %r89, %r12;
	sub.s32 	%r91, %r90, %r3;
	not.b32 	%r92, %r11;
	sub.s32 	%r14, %r91, %r92;
	and.b32  	%r15, %r14, 256;
	cvt.s64.s32 	%rd35, %r114;
	mul.wide.s32 	%rd36, %r114, 16;
	add.s64 	%rd9, %rd8, %rd36;
	add.s64 	%rd37, %rd5, %rd35;
	shl.b64 	%rd38, %rd37, 4;
	add.s64 	%rd10, %rd1, %rd38;
	@%p26 bra 	$L__BB1_14;

	setp.ne.s32 	%p27, %r15, 0;
	@%p27 bra 	$L__BB1_11;

	div.s32 	%r93, %r114, %r26;
	add.s32 	%r94, %r93, %r10;
	mul.wide.s32 	%rd39, %r94, 4;
	add.s64 	%rd40, %rd3, %rd39;
	ld.global.f32 	%f5, [%rd40];
	mul.f32 	%f6, %f5, %f2;
	add.s64 	%rd41, %rd2, %rd39;
	mul.f32 	%f7, %f6, %f1;
	ld.global.f32 	%f8, [%rd41];
	sub.f32 	%f9, %f8, %f7;
	ld.global.v4.f32 	{%f10, %f11, %f12, %f13}, [%rd9];
	fma.rn.f32 	%f18, %f6, %f10, %f9;
	mul.f32 	%f19, %f18, 0fBFB8AA3B;
	ex2.approx.f32 	%f20, %f19;
	add.f32 	%f21, %f20, 0f3F800000;
	fma.rn.f32 	%f22, %f6, %f11, %f9;
	mul.f32 	%f23, %f22, 0fBFB8AA3B;
	ex2.approx.f32 	%f24, %f23;
	add.f32 	%f25, %f24, 0f3F800000;
	fma.rn.f32 	%f26, %f6, %f12, %f9;
	mul.f32 	%f27, %f26, 0fBFB8AA3B;
	ex2.approx.f32 	%f28, %f27;
	add.f32 	%f29, %f28, 0f3F800000;
	fma.rn.f32 	%f30, %f6, %f13, %f9;
	mul.f32 	%f31, %f30, 0fBFB8AA3B;
	ex2.approx.f32 	%f32, %f31;
	add.f32 	%f33, %f32, 0f3F800000;
	div.approx.f32 	%f34, %f30, %f33;
	div.approx.f32 	%f35, %f26, %f29;
	div.approx.f32 	%f36, %f22, %f25;
	div.approx.f32 	%f37, %f18, %f21;
	st.global.v4.f32 	[%rd10], {%f37, %f36, %f35, %f34};
	add.s32 	%r114, %r114, 256;

$L__BB1_11:
	and.b32  	%r95, %r14, -256;
	setp.eq.s32 	%p28, %r95, 0;
	@%p28 bra 	$L__BB1_19;

	cvt.s64.s32 	%rd42, %r114;
	add.s64 	%rd43, %rd5, %rd42;
	shl.b64 	%rd44, %rd43, 4;
	add.s64 	%rd64, %rd4, %rd44;
	add.s64 	%rd63, %rd1, %rd44;

$L__BB1_13:
	div.s32 	%r96, %r114, %r26;
	add.s32 	%r97, %r96, %r10;
	mul.wide.s32 	%rd45, %r97, 4;
	add.s64 	%rd46, %rd3, %rd45;
	ld.global.f32 	%f38, [%rd46];
	mul.f32 	%f39, %f38, %f2;
	add.s64 	%rd47, %rd2, %rd45;
	mul.f32 	%f40, %f39, %f1;
	ld.global.f32 	%f41, [%rd47];
	sub.f32 	%f42, %f41, %f40;
	ld.global.v4.f32 	{%f43, %f44, %f45, %f46}, [%rd64];
	fma.rn.f32 	%f51, %f39, %f43, %f42;
	mul.f32 	%f52, %f51, 0fBFB8AA3B;
	ex2.approx.f32 	%f53, %f52;
	add.f32 	%f54, %f53, 0f3F800000;
	fma.rn.f32 	%f55, %f39, %f44, %f42;
	mul.f32 	%f56, %f55, 0fBFB8AA3B;
	ex2.approx.f32 	%f57, %f56;
	add.f32 	%f58, %f57, 0f3F800000;
	fma.rn.f32 	%f59, %f39, %f45, %f42;
	mul.f32 	%f60, %f59, 0fBFB8AA3B;
	ex2.approx.f32 	%f61, %f60;
	add.f32 	%f62, %f61, 0f3F800000;
	fma.rn.f32 	%f63, %f39, %f46, %f42;
	mul.f32 	%f64, %f63, 0fBFB8AA3B;
	ex2.approx.f32 	%f65, %f64;
	add.f32 	%f66, %f65, 0f3F800000;
	div.approx.f32 	%f67, %f63, %f66;
	div.approx.f32 	%f68, %f59, %f62;
	div.approx.f32 	%f69, %f55, %f58;
	div.approx.f32 	%f70, %f51, %f54;
	st.global.v4.f32 	[%rd63], {%f70, %f69, %f68, %f67};
	add.s32 	%r98, %r114, 256;
	div.s32 	%r99, %r98, %r26;
	add.s32 	%r100, %r99, %r10;
	mul.wide.s32 	%rd48, %r100, 4;
	add.s64 	%rd49, %rd3, %rd48;
	ld.global.f32 	%f71, [%rd49];
	mul.f32 	%f72, %f71, %f2;
	add.s64 	%rd50, %rd2, %rd48;
	mul.f32 	%f73, %f72, %f1;
	ld.global.f32 	%f74, [%rd50];
	sub.f32 	%f75, %f74, %f73;
	ld.global.v4.f32 	{%f76, %f77, %f78, %f79}, [%rd64+4096];
	fma.rn.f32 	%f84, %f72, %f76, %f75;
	mul.f32 	%f85, %f84, 0fBFB8AA3B;
	ex2.approx.f32 	%f86, %f85;
	add.f32 	%f87, %f86, 0f3F800000;
	fma.rn.f32 	%f88, %f72, %f77, %f75;
	mul.f32 	%f89, %f88, 0fBFB8AA3B;
	ex2.approx.f32 	%f90, %f89;
	add.f32 	%f91, %f90, 0f3F800000;
	fma.rn.f32 	%f92, %f72, %f78, %f75;
	mul.f32 	%f93, %f92, 0fBFB8AA3B;
	ex2.approx.f32 	%f94, %f93;
	add.f32 	%f95, %f94, 0f3F800000;
	fma.rn.f32 	%f96, %f72, %f79, %f75;
	mul.f32 	%f97, %f96, 0fBFB8AA3B;
	ex2.approx.f32 	%f98, %f97;
	add.f32 	%f99, %f98, 0f3F800000;
	div.approx.f32 	%f100, %f96, %f99;
	div.approx.f32 	%f101, %f92, %f95;
	div.approx.f32 	%f102, %f88, %f91;
	div.approx.f32 	%f103, %f84, %f87;
	st.global.v4.f32 	[%rd63+4096], {%f103, %f102, %f101, %f100};
	add.s64 	%rd64, %rd64, 8192;
	add.s64 	%rd63, %rd63, 8192;
	add.s32 	%r114, %r114, 512;
	setp.lt.s32 	%p29, %r114, %r11;
	@%p29 bra 	$L__BB1_13;
	bra.uni 	$L__BB1_19;

$L__BB1_14:
	setp.ne.s32 	%p30, %r15, 0;
	@%p30 bra 	$L__BB1_16;

	div.s32 	%r101, %r114, %r26;
	add.s32 	%r102, %r101, %r10;
	mul.wide.s32 	%rd51, %r102, 4;
	add.s64 	%rd52, %rd3, %rd51;
	ld.global.f32 	%f104, [%rd52];
	mul.f32 	%f105, %f104, %f2;
	add.s64 	%rd53, %rd2, %rd51;
	mul.f32 	%f106, %f105, %f1;
	ld.global.f32 	%f107, [%rd53];
	sub.f32 	%f108, %f107, %f106;
	ld.global.v4.f32 	{%f109, %f110, %f111, %f112}, [%rd9];
	fma.rn.f32 	%f117, %f105, %f112, %f108;
	fma.rn.f32 	%f118, %f105, %f111, %f108;
	fma.rn.f32 	%f119, %f105, %f110, %f108;
	fma.rn.f32 	%f120, %f105, %f109, %f108;
	st.global.v4.f32 	[%rd10], {%f120, %f119, %f118, %f117};
	add.s32 	%r114, %r114, 256;

$L__BB1_16:
	and.b32  	%r103, %r14, -256;
	setp.eq.s32 	%p31, %r103, 0;
	@%p31 bra 	$L__BB1_19;

	cvt.s64.s32 	%rd54, %r114;
	add.s64 	%rd55, %rd5, %rd54;
	shl.b64 	%rd56, %rd55, 4;
	add.s64 	%rd66, %rd4, %rd56;
	add.s64 	%rd65, %rd1, %rd56;

$L__BB1_18:
	div.s32 	%r104, %r114, %r26;
	add.s32 	%r105, %r104, %r10;
	mul.wide.s32 	%rd57, %r105, 4;
	add.s64 	%rd58, %rd3, %rd57;
	ld.global.f32 	%f121, [%rd58];
	mul.f32 	%f122, %f121, %f2;
	add.s64 	%rd59, %rd2, %rd57;
	mul.f32 	%f123, %f122, %f1;
	ld.global.f32 	%f124, [%rd59];
	sub.f32 	%f125, %f124, %f123;
	ld.global.v4.f32 	{%f126, %f127, %f128, %f129}, [%rd66];
	fma.rn.f32 	%f134, %f122, %f129, %f125;
	fma.rn.f32 	%f135, %f122, %f128, %f125;
	fma.rn.f32 	%f136, %f122, %f127, %f125;
	fma.rn.f32 	%f137, %f122, %f126, %f125;
	st.global.v4.f32 	[%rd65], {%f137, %f136, %f135, %f134};
	add.s32 	%r106, %r114, 256;
	div.s32 	%r107, %r106, %r26;
	add.s32 	%r108, %r107, %r10;
	mul.wide.s32 	%rd60, %r108, 4;
	add.s64 	%rd61, %rd3, %rd60;
	ld.global.f32 	%f138, [%rd61];
	mul.f32 	%f139, %f138, %f2;
	add.s64 	%rd62, %rd2, %rd60;
	mul.f32 	%f140, %f139, %f1;
	ld.global.f32 	%f141, [%rd62];
	sub.f32 	%f142, %f141, %f140;
	ld.global.v4.f32 	{%f143, %f144, %f145, %f146}, [%rd66+4096];
	fma.rn.f32 	%f151, %f139, %f146, %f142;
	fma.rn.f32 	%f152, %f139, %f145, %f142;
	fma.rn.f32 	%f153, %f139, %f144, %f142;
	fma.rn.f32 	%f154, %f139, %f143, %f142;
	st.global.v4.f32 	[%rd65+4096], {%f154, %f153, %f152, %f151};
	add.s64 	%rd66, %rd66, 8192;
	add.s64 	%rd65, %rd65, 8192;
	add.s32 	%r114, %r114, 512;
	setp.lt.s32 	%p32, %r114, %r11;
	@%p32 bra 	$L__BB1_18;

$L__BB1_19:
	ret;

}
	// .globl	rotate_heads_bfloat16
.visible .entry rotate_heads_bfloat16(
	.param .u64 rotate_heads_bfloat16_param_0,
	.param .u64 rotate_heads_bfloat16_param_1,
	.param .u64 rotate_heads_bfloat16_param_2,
	.param .u64 rotate_heads_bfloat16_param_3,
	.param .u64 rotate_heads_bfloat16_param_4,
	.param .u32 rotate_heads_bfloat16_param_5,
	.param .u32 rotate_heads_bfloat16_param_6,
	.param .u32 rotate_heads_bfloat16_param_7,
	.param .u32 rotate_heads_bfloat16_param_8,
	.param .u32 rotate_heads_bfloat16_param_9,
	.param .u32 rotate_heads_bfloat16_param_10,
	.param .f32 rotate_heads_bfloat16_param_11
)
{
	.reg .pred 	%p<21>;
	.reg .f32 	%f<115>;
	.reg .b32 	%r<147>;
	.reg .b64 	%rd<52>;


	ld.param.u64 	%rd15, [rotate_heads_bfloat16_param_0];
	ld.param.u64 	%rd16, [rotate_heads_bfloat16_param_1];
	ld.param.u64 	%rd17, [rotate_heads_bfloat16_param_2];
	ld.param.u64 	%rd18, [rotate_heads_bfloat16_param_3];
	ld.param.u64 	%rd19, [rotate_heads_bfloat16_param_4];
	ld.param.u32 	%r11, [rotate_heads_bfloat16_param_5];
	ld.param.u32 	%r7, [rotate_heads_bfloat16_param_6];
	ld.param.u32 	%r8, [rotate_heads_bfloat16_param_7];
	ld.param.u32 	%r9, [rotate_heads_bfloat16_param_8];
	ld.param.s32 	%rd2, [rotate_heads_bfloat16_param_9];
	ld.param.u32 	%r10, [rotate_heads_bfloat16_param_10];
	ld.param.f32 	%f22, [rotate_heads_bfloat16_param_11];
	mov.u32 	%r12, %tid.x;
	and.b32  	%r1, %r12, 31;
	mov.u32 	%r13, %ctaid.x;
	mov.u32 	%r14, %ntid.x;
	shr.u32 	%r15, %r14, 5;
	mul.wide.u32 	%rd20, %r15, %r13;
	shr.u32 	%r16, %r12, 5;
	cvt.u64.u32 	%rd21, %r16;
	add.s64 	%rd1, %rd20, %rd21;
	mul.wide.s32 	%rd22, %r7, %r11;
	mul.lo.s64 	%rd23, %rd22, %rd2;
	setp.ge.s64 	%p1, %rd1, %rd23;
	@%p1 bra 	$L__BB2_15;

	or.b64  	%rd24, %rd1, %rd2;
	and.b64  	%rd25, %rd24, -4294967296;
	setp.eq.s64 	%p2, %rd25, 0;
	@%p2 bra 	$L__BB2_3;

	div.s64 	%rd50, %rd1, %rd2;
	bra.uni 	$L__BB2_4;

$L__BB2_3:
	cvt.u32.u64 	%r17, %rd2;
	cvt.u32.u64 	%r18, %rd1;
	div.u32 	%r19, %r18, %r17;
	cvt.u64.u32 	%rd50, %r19;

$L__BB2_4:
	cvt.u32.u64 	%r2, %rd50;
	div.s32 	%r3, %r2, %r7;
	shr.s32 	%r20, %r10, 31;
	shr.u32 	%r21, %r20, 30;
	add.s32 	%r22, %r10, %r21;
	shr.s32 	%r23, %r22, 2;
	cvt.s64.s32 	%rd6, %r23;
	mul.lo.s64 	%rd26, %rd1, %rd6;
	setp.ge.s32 	%p3, %r1, %r23;
	cvt.u64.u32 	%rd27, %r1;
	add.s64 	%rd28, %rd26, %rd27;
	cvta.to.global.u64 	%rd29, %rd15;
	shl.b64 	%rd30, %rd28, 3;
	add.s64 	%rd7, %rd29, %rd30;
	mov.f32 	%f114, 0f00000000;
	@%p3 bra 	$L__BB2_6;

	ld.global.v2.u32 	{%r24, %r25}, [%rd7];
	shl.b32 	%r27, %r24, 16;
	and.b32  	%r28, %r24, -65536;
	shl.b32 	%r30, %r25, 16;
	and.b32  	%r31, %r25, -65536;
	mov.b32 	%f108, %r27;
	fma.rn.f32 	%f25, %f108, %f108, 0f00000000;
	mov.b32 	%f107, %r28;
	fma.rn.f32 	%f26, %f107, %f107, %f25;
	mov.b32 	%f106, %r30;
	fma.rn.f32 	%f27, %f106, %f106, %f26;
	mov.b32 	%f105, %r31;
	fma.rn.f32 	%f114, %f105, %f105, %f27;

$L__BB2_6:
	or.b32  	%r4, %r1, 32;
	cvt.u32.u64 	%r5, %rd6;
	setp.ge.s32 	%p4, %r4, %r5;
	@%p4 bra 	$L__BB2_8;

	ld.global.v2.u32 	{%r32, %r33}, [%rd7+256];
	shl.b32 	%r35, %r32, 16;
	and.b32  	%r36, %r32, -65536;
	shl.b32 	%r38, %r33, 16;
	and.b32  	%r39, %r33, -65536;
	mov.b32 	%f113, %r35;
	fma.rn.f32 	%f29, %f113, %f113, %f114;
	mov.b32 	%f112, %r36;
	fma.rn.f32 	%f30, %f112, %f112, %f29;
	mov.b32 	%f111, %r38;
	fma.rn.f32 	%f31, %f111, %f111, %f30;
	mov.b32 	%f110, %r39;
	fma.rn.f32 	%f114, %f110, %f110, %f31;

$L__BB2_8:
	mov.b32 	%r40, %f114;
	mov.u32 	%r41, 31;
	mov.u32 	%r42, 16;
	mov.u32 	%r43, -1;
	shfl.sync.bfly.b32 	%r44|%p5, %r40, %r42, %r41, %r43;
	mov.b32 	%f32, %r44;
	add.f32 	%f33, %f114, %f32;
	mov.b32 	%r45, %f33;
	mov.u32 	%r46, 8;
	shfl.sync.bfly.b32 	%r47|%p6, %r45, %r46, %r41, %r43;
	mov.b32 	%f34, %r47;
	add.f32 	%f35, %f33, %f34;
	mov.b32 	%r48, %f35;
	mov.u32 	%r49, 4;
	shfl.sync.bfly.b32 	%r50|%p7, %r48, %r49, %r41, %r43;
	mov.b32 	%f36, %r50;
	add.f32 	%f37, %f35, %f36;
	mov.b32 	%r51, %f37;
	mov.u32 	%r52, 2;
	shfl.sync.bfly.b32 	%r53|%p8, %r51, %r52, %r41, %r43;
	mov.b32 	%f38, %r53;
	add.f32 	%f39, %f37, %f38;
	mov.b32 	%r54, %f39;
	mov.u32 	%r55, 1;
	shfl.sync.bfly.b32 	%r56|%p9, %r54, %r55, %r41, %r43;
	mov.b32 	%f40, %r56;
	add.f32 	%f41, %f39, %f40;
	cvt.rn.f32.s32 	%f42, %r10;
	div.rn.f32 	%f43, %f41, %f42;
	add.f32 	%f44, %f43, %f22;
	rsqrt.approx.f32 	%f21, %f44;
	add.s32 	%r57, %r2, %r8;
	mul.lo.s32 	%r58, %r3, %r7;
	sub.s32 	%r6, %r57, %r58;
	@%p2 bra 	$L__BB2_10;

	rem.s64 	%rd51, %rd1, %rd2;
	bra.uni 	$L__BB2_11;

$L__BB2_10:
	cvt.u32.u64 	%r59, %rd2;
	cvt.u32.u64 	%r60, %rd1;
	rem.u32 	%r61, %r60, %r59;
	cvt.u64.u32 	%rd51, %r61;

$L__BB2_11:
	cvt.s64.s32 	%rd33, %r6;
	setp.ge.s32 	%p11, %r1, %r5;
	mul.wide.s32 	%rd34, %r3, %r9;
	add.s64 	%rd35, %rd34, %rd33;
	mul.lo.s64 	%rd36, %rd35, %rd2;
	add.s64 	%rd37, %rd51, %rd36;
	mul.lo.s64 	%rd38, %rd37, %rd6;
	cvta.to.global.u64 	%rd40, %rd16;
	mul.wide.s32 	%rd41, %r1, 8;
	add.s64 	%rd11, %rd40, %rd41;
	mul.lo.s64 	%rd42, %rd33, %rd6;
	add.s64 	%rd43, %rd42, %rd27;
	cvta.to.global.u64 	%rd44, %rd17;
	shl.b64 	%rd45, %rd43, 3;
	add.s64 	%rd12, %rd44, %rd45;
	cvta.to.global.u64 	%rd46, %rd18;
	add.s64 	%rd13, %rd46, %rd45;
	add.s64 	%rd47, %rd38, %rd27;
	cvta.to.global.u64 	%rd48, %rd19;
	shl.b64 	%rd49, %rd47, 3;
	add.s64 	%rd14, %rd48, %rd49;
	@%p11 bra 	$L__BB2_13;

	ld.global.v2.u32 	{%r63, %r64}, [%rd11];
	ld.global.v2.f32 	{%f45, %f46}, [%rd12];
	ld.global.v2.f32 	{%f49, %f50}, [%rd13];
	shl.b32 	%r66, %r63, 16;
	mov.b32 	%f53, %r66;
	mul.f32 	%f54, %f21, %f108;
	mul.f32 	%f55, %f54, %f53;
	and.b32  	%r67, %r63, -65536;
	mov.b32 	%f56, %r67;
	mul.f32 	%f57, %f21, %f107;
	mul.f32 	%f58, %f57, %f56;
	shl.b32 	%r69, %r64, 16;
	mov.b32 	%f59, %r69;
	mul.f32 	%f60, %f21, %f106;
	mul.f32 	%f61, %f60, %f59;
	and.b32  	%r70, %r64, -65536;
	mov.b32 	%f62, %r70;
	mul.f32 	%f63, %f21, %f105;
	mul.f32 	%f64, %f63, %f62;
	mul.f32 	%f65, %f45, %f55;
	mul.f32 	%f66, %f49, %f58;
	sub.f32 	%f67, %f65, %f66;
	mul.f32 	%f68, %f45, %f58;
	fma.rn.f32 	%f69, %f49, %f55, %f68;
	mov.b32 	%r71, %f67;
	and.b32  	%r72, %r71, 2147483647;
	setp.gt.u32 	%p12, %r72, 2139095040;
	shr.u32 	%r73, %r71, 16;
	and.b32  	%r74, %r73, 1;
	add.s32 	%r75, %r71, %r74;
	add.s32 	%r76, %r75, 32767;
	shr.u32 	%r77, %r76, 16;
	selp.b32 	%r78, 32767, %r77, %p12;
	mov.b32 	%r79, %f69;
	and.b32  	%r80, %r79, 2147483647;
	setp.gt.u32 	%p13, %r80, 2139095040;
	shr.u32 	%r81, %r79, 16;
	and.b32  	%r82, %r81, 1;
	add.s32 	%r83, %r79, %r82;
	add.s32 	%r84, %r83, 32767;
	and.b32  	%r85, %r84, -65536;
	selp.b32 	%r86, 2147418112, %r85, %p13;
	mul.f32 	%f70, %f46, %f61;
	mul.f32 	%f71, %f50, %f64;
	sub.f32 	%f72, %f70, %f71;
	mul.f32 	%f73, %f46, %f64;
	fma.rn.f32 	%f74, %f50, %f61, %f73;
	mov.b32 	%r87, %f72;
	and.b32  	%r88, %r87, 2147483647;
	setp.gt.u32 	%p14, %r88, 2139095040;
	shr.u32 	%r89, %r87, 16;
	and.b32  	%r90, %r89, 1;
	add.s32 	%r91, %r87, %r90;
	add.s32 	%r92, %r91, 32767;
	shr.u32 	%r93, %r92, 16;
	selp.b32 	%r94, 32767, %r93, %p14;
	mov.b32 	%r95, %f74;
	and.b32  	%r96, %r95, 2147483647;
	setp.gt.u32 	%p15, %r96, 2139095040;
	shr.u32 	%r97, %r95, 16;
	and.b32  	%r98, %r97, 1;
	add.s32 	%r99, %r95, %r98;
	add.s32 	%r100, %r99, 32767;
	and.b32  	%r101, %r100, -65536;
	selp.b32 	%r102, 2147418112, %r101, %p15;
	or.b32  	%r103, %r102, %r94;
	or.b32  	%r104, %r86, %r78;
	st.global.v2.u32 	[%rd14], {%r104, %r103};

$L__BB2_13:
	@%p4 bra 	$L__BB2_15;

	ld.global.v2.u32 	{%r105, %r106}, [%rd11+256];
	ld.global.v2.f32 	{%f75, %f76}, [%rd12+256];
	ld.global.v2.f32 	{%f79, %f80}, [%rd13+256];
	shl.b32 	%r108, %r105, 16;
	mov.b32 	%f83, %r108;
	mul.f32 	%f84, %f21, %f113;
	mul.f32 	%f85, %f84, %f83;
	and.b32  	%r109, %r105, -65536;
	mov.b32 	%f86, %r109;
	mul.f32 	%f87, %f21, %f112;
	mul.f32 	%f88, %f87, %f86;
	shl.b32 	%r111, %r106, 16;
	mov.b32 	%f89, %r111;
	mul.f32 	%f90, %f21, %f111;
	mul.f32 	%f91, %f90, %f89;
	and.b32  	%r112, %r106, -65536;
	mov.b32 	%f92, %r112;
	mul.f32 	%f93, %f21, %f110;
	mul.f32 	%f94, %f93, %f92;
	mul.f32 	%f95, %f75, %f85;
	mul.f32 	%f96, %f79, %f88;
	sub.f32 	%f97, %f95, %f96;
	mul.f32 	%f98, %f75, %f88;
	fma.rn.f32 	%f99, %f79, %f85, %f98;
	mov.b32 	%r113, %f97;
	and.b32  	%r114, %r113, 2147483647;
	setp.gt.u32 	%p17, %r114, 2139095040;
	shr.u32 	%r115, %r113, 16;
	and.b32  	%r116, %r115, 1;
	add.s32 	%r117, %r113, %r116;
	add.s32 	%r118, %r117, 32767;
	shr.u32 	%r119, %r118, 16;
	selp.b32 	%r120, 32767, %r119, %p17;
	mov.b32 	%r121, %f99;
	and.b32  	%r122, %r121, 2147483647;
	setp.gt.u32 	%p18, %r122, 2139095040;
	shr.u32 	%r123, %r121, 16;
	and.b32  	%r124, %r123, 1;
	add.s32 	%r125, %r121, %r124;
	add.s32 	%r126, %r125, 32767;
	and.b32  	%r127, %r126, -65536;
	selp.b32 	%r128, 2147418112, %r127, %p18;
	mul.f32 	%f100, %f76, %f91;
	mul.f32 	%f101, %f80, %f94;
	sub.f32 	%f102, %f100, %f101;
	mul.f32 	%f103, %f76, %f94;
	fma.rn.f32 	%f104, %f80, %f91, %f103;
	mov.b32 	%r129, %f102;
	and.b32  	%r130, %r129, 2147483647;
	setp.gt.u32 	%p19, %r130, 2139095040;
	shr.u32 	%r131, %r129, 16;
	and.b32  	%r132, %r131, 1;
	add.s32 	%r133, %r129, %r132;
	add.s32 	%r134, %r133, 32767;
	shr.u32 	%r135, %r134, 16;
	selp.b32 	%r136, 32767, %r135, %p19;
	mov.b32 	%r137, %f104;
	and.b32  	%r138, %r137, 2147483647;
	setp.gt.u32 	%p20, %r138, 2139095040;
	shr.u32 	%r139, %r137, 16;
	and.b32  	%r140, %r139, 1;
	add.s32 	%r141, %r137, %r140;
	add.s32 	%r142, %r141, 32767;
	and.b32  	%r143, %r142, -65536;
	selp.b32 	%r144, 2147418112, %r143, %p20;
	or.b32  	%r145, %r144, %r136;
	or.b32  	%r146, %r128, %r120;
	st.global.v2.u32 	[%rd14+256], {%r146, %r145};

$L__BB2_15:
	ret;

}
	// .globl	gated_product_bfloat16
.visible .entry gated_product_bfloat16(
	.param .u64 gated_product_bfloat16_param_0,
	.param .u64 gated_product_bfloat16_param_1,
	.param .u64 gated_product_bfloat16_param_2,
	.param .u64 gated_product_bfloat16_param_3,
	.param .u32 gated_product_bfloat16_param_4,
	.param .u32 gated_product_bfloat16_param_5
)
{
	.reg .pred 	%p<12>;
	.reg .f32 	%f<57>;
	.reg .b32 	%r<127>;
	.reg .b64 	%rd<28>;


	ld.param.u64 	%rd9, [gated_product_bfloat16_param_0];
	ld.param.u64 	%rd10, [gated_product_bfloat16_param_1];
	ld.param.u64 	%rd11, [gated_product_bfloat16_param_2];
	ld.param.u64 	%rd12, [gated_product_bfloat16_param_3];
	ld.param.u32 	%r18, [gated_product_bfloat16_param_4];
	ld.param.u32 	%r19, [gated_product_bfloat16_param_5];
	mov.u32 	%r122, %tid.x;
	add.s32 	%r2, %r19, %r18;
	setp.ge.s32 	%p1, %r122, %r2;
	@%p1 bra 	$L__BB3_6;

	mov.u32 	%r20, %ctaid.x;
	cvt.u64.u32 	%rd13, %r20;
	cvt.s64.s32 	%rd14, %r18;
	mul.lo.s64 	%rd1, %rd14, %rd13;
	cvt.s64.s32 	%rd15, %r2;
	mul.lo.s64 	%rd2, %rd15, %rd13;
	mov.u32 	%r3, %ntid.x;
	cvt.s64.s32 	%rd16, %r19;
	mul.lo.s64 	%rd17, %rd16, %rd13;
	sub.s64 	%rd3, %rd17, %rd14;
	cvta.to.global.u64 	%rd4, %rd10;
	cvta.to.global.u64 	%rd5, %rd11;
	cvta.to.global.u64 	%rd6, %rd9;
	cvta.to.global.u64 	%rd7, %rd12;

$L__BB3_2:
	cvt.s64.s32 	%rd8, %r122;
	setp.lt.s32 	%p2, %r122, %r18;
	@%p2 bra 	$L__BB3_4;
	bra.uni 	$L__BB3_3;

$L__BB3_4:
	add.s64 	%rd22, %rd1, %rd8;
	shl.b64 	%rd23, %rd22, 4;
	add.s64 	%rd24, %rd6, %rd23;
	ld.global.v4.u32 	{%r123, %r124, %r125, %r126}, [%rd24];
	bra.uni 	$L__BB3_5;

$L__BB3_3:
	add.s64 	%rd18, %rd3, %rd8;
	shl.b64 	%rd19, %rd18, 4;
	add.s64 	%rd20, %rd4, %rd19;
	ld.global.v4.u32 	{%r21, %r22, %r23, %r24}, [%rd20];
	add.s64 	%rd21, %rd5, %rd19;
	ld.global.v4.u32 	{%r25, %r26, %r27, %r28}, [%rd21];
	shl.b32 	%r30, %r21, 16;
	mov.b32 	%f1, %r30;
	and.b32  	%r31, %r21, -65536;
	mov.b32 	%f2, %r31;
	mul.f32 	%f3, %f1, 0fBFB8AA3B;
	ex2.approx.f32 	%f4, %f3;
	add.f32 	%f5, %f4, 0f3F800000;
	div.approx.f32 	%f6, %f1, %f5;
	shl.b32 	%r33, %r25, 16;
	mov.b32 	%f7, %r33;
	mul.f32 	%f8, %f6, %f7;
	mul.f32 	%f9, %f2, 0fBFB8AA3B;
	ex2.approx.f32 	%f10, %f9;
	add.f32 	%f11, %f10, 0f3F800000;
	div.approx.f32 	%f12, %f2, %f11;
	and.b32  	%r34, %r25, -65536;
	mov.b32 	%f13, %r34;
	mul.f32 	%f14, %f12, %f13;
	mov.b32 	%r35, %f8;
	and.b32  	%r36, %r35, 2147483647;
	setp.gt.u32 	%p3, %r36, 2139095040;
	shr.u32 	%r37, %r35, 16;
	and.b32  	%r38, %r37, 1;
	add.s32 	%r39, %r35, %r38;
	add.s32 	%r40, %r39, 32767;
	shr.u32 	%r41, %r40, 16;
	selp.b32 	%r42, 32767, %r41, %p3;
	mov.b32 	%r43, %f14;
	and.b32  	%r44, %r43, 2147483647;
	setp.gt.u32 	%p4, %r44, 2139095040;
	shr.u32 	%r45, %r43, 16;
	and.b32  	%r46, %r45, 1;
	add.s32 	%r47, %r43, %r46;
	add.s32 	%r48, %r47, 32767;
	and.b32  	%r49, %r48, -65536;
	selp.b32 	%r50, 2147418112, %r49, %p4;
	or.b32  	%r123, %r50, %r42;
	shl.b32 	%r52, %r22, 16;
	mov.b32 	%f15, %r52;
	and.b32  	%r53, %r22, -65536;
	mov.b32 	%f16, %r53;
	mul.f32 	%f17, %f15, 0fBFB8AA3B;
	ex2.approx.f32 	%f18, %f17;
	add.f32 	%f19, %f18, 0f3F800000;
	div.approx.f32 	%f20, %f15, %f19;
	shl.b32 	%r55, %r26, 16;
	mov.b32 	%f21, %r55;
	mul.f32 	%f22, %f20, %f21;
	mul.f32 	%f23, %f16, 0fBFB8AA3B;
	ex2.approx.f32 	%f24, %f23;
	add.f32 	%f25, %f24, 0f3F800000;
	div.approx.f32 	%f26, %f16, %f25;
	and.b32  	%r56, %r26, -65536;
	mov.b32 	%f27, %r56;
	mul.f32 	%f28, %f26, %f27;
	mov.b32 	%r57, %f22;
	and.b32  	%r58, %r57, 2147483647;
	setp.gt.u32 	%p5, %r58, 2139095040;
	shr.u32 	%r59, %r57, 16;
	and.b32  	%r60, %r59, 1;
	add.s32 	%r61, %r57, %r60;
	add.s32 	%r62, %r61, 32767;
	shr.u32 	%r63, %r62, 16;
	selp.b32 	%r64, 32767, %r63, %p5;
	mov.b32 	%r65, %f28;
	and.b32  	%r66, %r65, 2147483647;
	setp.gt.u32 	%p6, %r66, 2139095040;
	shr.u32 	%r67, %r65, 16;
	and.b32  	%r68, %r67, 1;
	add.s32 	%r69, %r65, %r68;
	add.s32 	%r70, %r69, 32767;
	and.b32  	%r71, %r70, -65536;
	selp.b32 	%r72, 2147418112, %r71, %p6;
	or.b32  	%r124, %r72, %r64;
	shl.b32 	%r74, %r23, 16;
	mov.b32 	%f29, %r74;
	and.b32  	%r75, %r23, -65536;
	mov.b32 	%f30, %r75;
	mul.f32 	%f31, %f29, 0fBFB8AA3B;
	ex2.approx.f32 	%f32, %f31;
	add.f32 	%f33, %f32, 0f3F800000;
	div.approx.f32 	%f34, %f29, %f33;
	shl.b32 	%r77, %r27, 16;
	mov.b32 	%f35, %r77;
	mul.f32 	%f36, %f34, %f35;
	mul.f32 	%f37, %f30, 0fBFB8AA3B;
	ex2.approx.f32 	%f38, %f37;
	add.f32 	%f39, %f38, 0f3F800000;
	div.approx.f32 	%f40, %f30, %f39;
	and.b32  	%r78, %r27, -65536;
	mov.b32 	%f41, %r78;
	mul.f32 	%f42, %f40, %f41;
	mov.b32 	%r79, %f36;
	and.b32  	%r80, %r79, 2147483647;
	setp.gt.u32 	%p7, %r80, 2139095040;
	shr.u32 	%r81, %r79, 16;
	and.b32  	%r82, %r81, 1;
	add.s32 	%r83, %r79, %r82;
	add.s32 	%r84, %r83, 32767;
	shr.u32 	%r85, %r84, 16;
	selp.b32 	%r86, 32767, %r85, %p7;
	mov.b32 	%r87, %f42;
	and.b32  	%r88, %r87, 2147483647;
	setp.gt.u32 	%p8, %r88, 2139095040;
	shr.u32 	%r89, %r87, 16;
	and.b32  	%r90, %r89, 1;
	add.s32 	%r91, %r87, %r90;
	add.s32 	%r92, %r91, 32767;
	and.b32  	%r93, %r92, -65536;
	selp.b32 	%r94, 2147418112, %r93, %p8;
	or.b32  	%r125, %r94, %r86;
	shl.b32 	%r96, %r24, 16;
	mov.b32 	%f43, %r96;
	and.b32  	%r97, %r24, -65536;
	mov.b32 	%f44, %r97;
	mul.f32 	%f45, %f43, 0fBFB8AA3B;
	ex2.approx.f32 	%f46, %f45;
	add.f32 	%f47, %f46, 0f3F800000;
	div.approx.f32 	%f48, %f43, %f47;
	shl.b32 	%r99, %r28, 16;
	mov.b32 	%f49, %r99;
	mul.f32 	%f50, %f48, %f49;
	mul.f32 	%f51, %f44, 0fBFB8AA3B;
	ex2.approx.f32 	%f52, %f51;
	add.f32 	%f53, %f52, 0f3F800000;
	div.approx.f32 	%f54, %f44, %f53;
	and.b32  	%r100, %r28, -65536;
	mov.b32 	%f55, %r100;
	mul.f32 	%f56, %f54, %f55;
	mov.b32 	%r101, %f50;
	and.b32  	%r102, %r101, 2147483647;
	setp.gt.u32 	%p9, %r102, 2139095040;
	shr.u32 	%r103, %r101, 16;
	and.b32  	%r104, %r103, 1;
	add.s32 	%r105, %r101, %r104;
	add.s32 	%r106, %r105, 32767;
	shr.u32 	%r107, %r106, 16;
	selp.b32 	%r108, 32767, %r107, %p9;
	mov.b32 	%r109, %f56;
	and.b32  	%r110, %r109, 2147483647;
	setp.gt.u32 	%p10, %r110, 2139095040;
	shr.u32 	%r111, %r109, 16;
	and.b32  	%r112, %r111, 1;
	add.s32 	%r113, %r109, %r112;
	add.s32 	%r114, %r113, 32767;
	and.b32  	%r115, %r114, -65536;
	selp.b32 	%r116, 2147418112, %r115, %p10;
	or.b32  	%r126, %r116, %r108;

$L__BB3_5:
	add.s64 	%rd25, %rd2, %rd8;
	shl.b64 	%rd26, %rd25, 4;
	add.s64 	%rd27, %rd7, %rd26;
	st.global.v4.u32 	[%rd27], {%r123, %r124, %r125, %r126};
	cvt.u32.u64 	%r121, %rd8;
	add.s32 	%r122, %r121, %r3;
	setp.lt.s32 	%p11, %r122, %r2;
	@%p11 bra 	$L__BB3_2;

$L__BB3_6:
	ret;

}
	// .globl	gated_sum_norm_bfloat16
.visible .entry gated_sum_norm_bfloat16(
	.param .u64 gated_sum_norm_bfloat16_param_0,
	.param .u64 gated_sum_norm_bfloat16_param_1,
	.param .u64 gated_sum_norm_bfloat16_param_2,
	.param .u64 gated_sum_norm_bfloat16_param_3,
	.param .u64 gated_sum_norm_bfloat16_param_4,
	.param .u64 gated_sum_norm_bfloat16_param_5,
	.param .u64 gated_sum_norm_bfloat16_param_6,
	.param .u32 gated_sum_norm_bfloat16_param_7,
	.param .f32 gated_sum_norm_bfloat16_param_8
)
{
	.reg .pred 	%p<89>;
	.reg .f32 	%f<531>;
	.reg .b32 	%r<918>;
	.reg .b64 	%rd<39>;
	// demoted variable
	.shared .align 4 .b8 _ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room[32];

	ld.param.u64 	%rd13, [gated_sum_norm_bfloat16_param_0];
	ld.param.u64 	%rd14, [gated_sum_norm_bfloat16_param_1];
	ld.param.u64 	%rd15, [gated_sum_norm_bfloat16_param_2];
	ld.param.u64 	%rd16, [gated_sum_norm_bfloat16_param_5];
	ld.param.u32 	%r7, [gated_sum_norm_bfloat16_param_7];
	cvta.to.global.u64 	%rd17, %rd16;
	mov.u32 	%r8, %ctaid.x;
	cvt.u64.u32 	%rd18, %r8;
	cvt.s64.s32 	%rd19, %r7;
	mul.lo.s64 	%rd1, %rd19, %rd18;
	mov.u32 	%r1, %tid.x;
	setp.ge.s32 	%p2, %r1, %r7;
	cvt.s64.s32 	%rd20, %r1;
	add.s64 	%rd21, %rd1, %rd20;
	cvta.to.global.u64 	%rd22, %rd13;
	shl.b64 	%rd23, %rd21, 4;
	add.s64 	%rd2, %rd22, %rd23;
	cvta.to.global.u64 	%rd24, %rd14;
	add.s64 	%rd3, %rd24, %rd23;
	cvta.to.global.u64 	%rd25, %rd15;
	mul.wide.s32 	%rd26, %r1, 16;
	add.s64 	%rd4, %rd25, %rd26;
	add.s64 	%rd5, %rd17, %rd23;
	mov.f32 	%f508, 0f00000000;
	@%p2 bra 	$L__BB4_2;

	ld.global.v4.u32 	{%r9, %r10, %r11, %r12}, [%rd2];
	ld.global.v4.u32 	{%r13, %r14, %r15, %r16}, [%rd3];
	ld.global.v4.u32 	{%r17, %r18, %r19, %r20}, [%rd4];
	shl.b32 	%r22, %r9, 16;
	mov.b32 	%f89, %r22;
	shl.b32 	%r24, %r17, 16;
	mov.b32 	%f90, %r24;
	shl.b32 	%r26, %r13, 16;
	mov.b32 	%f91, %r26;
	fma.rn.f32 	%f498, %f90, %f91, %f89;
	and.b32  	%r27, %r9, -65536;
	mov.b32 	%f92, %r27;
	and.b32  	%r28, %r17, -65536;
	mov.b32 	%f93, %r28;
	and.b32  	%r29, %r13, -65536;
	mov.b32 	%f94, %r29;
	fma.rn.f32 	%f497, %f93, %f94, %f92;
	add.f32 	%f95, %f498, %f497;
	add.f32 	%f96, %f95, 0f00000000;
	mov.b32 	%r30, %f498;
	and.b32  	%r31, %r30, 2147483647;
	setp.gt.u32 	%p3, %r31, 2139095040;
	shr.u32 	%r32, %r30, 16;
	and.b32  	%r33, %r32, 1;
	add.s32 	%r34, %r30, %r33;
	add.s32 	%r35, %r34, 32767;
	shr.u32 	%r36, %r35, 16;
	selp.b32 	%r37, 32767, %r36, %p3;
	mov.b32 	%r38, %f497;
	and.b32  	%r39, %r38, 2147483647;
	setp.gt.u32 	%p4, %r39, 2139095040;
	shr.u32 	%r40, %r38, 16;
	and.b32  	%r41, %r40, 1;
	add.s32 	%r42, %r38, %r41;
	add.s32 	%r43, %r42, 32767;
	and.b32  	%r44, %r43, -65536;
	selp.b32 	%r45, 2147418112, %r44, %p4;
	shl.b32 	%r47, %r10, 16;
	mov.b32 	%f97, %r47;
	shl.b32 	%r49, %r18, 16;
	mov.b32 	%f98, %r49;
	shl.b32 	%r51, %r14, 16;
	mov.b32 	%f99, %r51;
	fma.rn.f32 	%f496, %f98, %f99, %f97;
	and.b32  	%r52, %r10, -65536;
	mov.b32 	%f100, %r52;
	and.b32  	%r53, %r18, -65536;
	mov.b32 	%f101, %r53;
	and.b32  	%r54, %r14, -65536;
	mov.b32 	%f102, %r54;
	fma.rn.f32 	%f495, %f101, %f102, %f100;
	add.f32 	%f103, %f496, %f495;
	add.f32 	%f104, %f96, %f103;
	mov.b32 	%r55, %f496;
	and.b32  	%r56, %r55, 2147483647;
	setp.gt.u32 	%p5, %r56, 2139095040;
	shr.u32 	%r57, %r55, 16;
	and.b32  	%r58, %r57, 1;
	add.s32 	%r59, %r55, %r58;
	add.s32 	%r60, %r59, 32767;
	shr.u32 	%r61, %r60, 16;
	selp.b32 	%r62, 32767, %r61, %p5;
	mov.b32 	%r63, %f495;
	and.b32  	%r64, %r63, 2147483647;
	setp.gt.u32 	%p6, %r64, 2139095040;
	shr.u32 	%r65, %r63, 16;
	and.b32  	%r66, %r65, 1;
	add.s32 	%r67, %r63, %r66;
	add.s32 	%r68, %r67, 32767;
	and.b32  	%r69, %r68, -65536;
	selp.b32 	%r70, 2147418112, %r69, %p6;
	shl.b32 	%r72, %r11, 16;
	mov.b32 	%f105, %r72;
	shl.b32 	%r74, %r19, 16;
	mov.b32 	%f106, %r74;
	shl.b32 	%r76, %r15, 16;
	mov.b32 	%f107, %r76;
	fma.rn.f32 	%f494, %f106, %f107, %f105;
	and.b32  	%r77, %r11, -65536;
	mov.b32 	%f108, %r77;
	and.b32  	%r78, %r19, -65536;
	mov.b32 	%f109, %r78;
	and.b32  	%r79, %r15, -65536;
	mov.b32 	%f110, %r79;
	fma.rn.f32 	%f493, %f109, %f110, %f108;
	add.f32 	%f111, %f494, %f493;
	add.f32 	%f112, %f104, %f111;
	mov.b32 	%r80, %f494;
	and.b32  	%r81, %r80, 2147483647;
	setp.gt.u32 	%p7, %r81, 2139095040;
	shr.u32 	%r82, %r80, 16;
	and.b32  	%r83, %r82, 1;
	add.s32 	%r84, %r80, %r83;
	add.s32 	%r85, %r84, 32767;
	shr.u32 	%r86, %r85, 16;
	selp.b32 	%r87, 32767, %r86, %p7;
	mov.b32 	%r88, %f493;
	and.b32  	%r89, %r88, 2147483647;
	setp.gt.u32 	%p8, %r89, 2139095040;
	shr.u32 	%r90, %r88, 16;
	and.b32  	%r91, %r90, 1;
	add.s32 	%r92, %r88, %r91;
	add.s32 	%r93, %r92, 32767;
	and.b32  	%r94, %r93, -65536;
	selp.b32 	%r95, 2147418112, %r94, %p8;
	shl.b32 	%r97, %r12, 16;
	mov.b32 	%f113, %r97;
	shl.b32 	%r99, %r20, 16;
	mov.b32 	%f114, %r99;
	shl.b32 	%r101, %r16, 16;
	mov.b32 	%f115, %r101;
	fma.rn.f32 	%f492, %f114, %f115, %f113;
	and.b32  	%r102, %r12, -65536;
	mov.b32 	%f116, %r102;
	and.b32  	%r103, %r20, -65536;
	mov.b32 	%f117, %r103;
	and.b32  	%r104, %r16, -65536;
	mov.b32 	%f118, %r104;
	fma.rn.f32 	%f491, %f117, %f118, %f116;
	add.f32 	%f119, %f492, %f491;
	add.f32 	%f508, %f112, %f119;
	mov.b32 	%r105, %f492;
	and.b32  	%r106, %r105, 2147483647;
	setp.gt.u32 	%p9, %r106, 2139095040;
	shr.u32 	%r107, %r105, 16;
	and.b32  	%r108, %r107, 1;
	add.s32 	%r109, %r105, %r108;
	add.s32 	%r110, %r109, 32767;
	shr.u32 	%r111, %r110, 16;
	selp.b32 	%r112, 32767, %r111, %p9;
	mov.b32 	%r113, %f491;
	and.b32  	%r114, %r113, 2147483647;
	setp.gt.u32 	%p10, %r114, 2139095040;
	shr.u32 	%r115, %r113, 16;
	and.b32  	%r116, %r115, 1;
	add.s32 	%r117, %r113, %r116;
	add.s32 	%r118, %r117, 32767;
	and.b32  	%r119, %r118, -65536;
	selp.b32 	%r120, 2147418112, %r119, %p10;
	or.b32  	%r121, %r120, %r112;
	or.b32  	%r122, %r95, %r87;
	or.b32  	%r123, %r70, %r62;
	or.b32  	%r124, %r45, %r37;
	st.global.v4.u32 	[%rd5], {%r124, %r123, %r122, %r121};

$L__BB4_2:
	add.s32 	%r2, %r1, 256;
	setp.ge.s32 	%p11, %r2, %r7;
	@%p11 bra 	$L__BB4_4;

	ld.global.v4.u32 	{%r125, %r126, %r127, %r128}, [%rd2+4096];
	ld.global.v4.u32 	{%r129, %r130, %r131, %r132}, [%rd3+4096];
	ld.global.v4.u32 	{%r133, %r134, %r135, %r136}, [%rd4+4096];
	shl.b32 	%r138, %r125, 16;
	mov.b32 	%f121, %r138;
	shl.b32 	%r140, %r133, 16;
	mov.b32 	%f122, %r140;
	shl.b32 	%r142, %r129, 16;
	mov.b32 	%f123, %r142;
	fma.rn.f32 	%f507, %f122, %f123, %f121;
	and.b32  	%r143, %r125, -65536;
	mov.b32 	%f124, %r143;
	and.b32  	%r144, %r133, -65536;
	mov.b32 	%f125, %r144;
	and.b32  	%r145, %r129, -65536;
	mov.b32 	%f126, %r145;
	fma.rn.f32 	%f506, %f125, %f126, %f124;
	add.f32 	%f127, %f507, %f506;
	add.f32 	%f128, %f508, %f127;
	mov.b32 	%r146, %f507;
	and.b32  	%r147, %r146, 2147483647;
	setp.gt.u32 	%p12, %r147, 2139095040;
	shr.u32 	%r148, %r146, 16;
	and.b32  	%r149, %r148, 1;
	add.s32 	%r150, %r146, %r149;
	add.s32 	%r151, %r150, 32767;
	shr.u32 	%r152, %r151, 16;
	selp.b32 	%r153, 32767, %r152, %p12;
	mov.b32 	%r154, %f506;
	and.b32  	%r155, %r154, 2147483647;
	setp.gt.u32 	%p13, %r155, 2139095040;
	shr.u32 	%r156, %r154, 16;
	and.b32  	%r157, %r156, 1;
	add.s32 	%r158, %r154, %r157;
	add.s32 	%r159, %r158, 32767;
	and.b32  	%r160, %r159, -65536;
	selp.b32 	%r161, 2147418112, %r160, %p13;
	shl.b32 	%r163, %r126, 16;
	mov.b32 	%f129, %r163;
	shl.b32 	%r165, %r134, 16;
	mov.b32 	%f130, %r165;
	shl.b32 	%r167, %r130, 16;
	mov.b32 	%f131, %r167;
	fma.rn.f32 	%f505, %f130, %f131, %f129;
	and.b32  	%r168, %r126, -65536;
	mov.b32 	%f132, %r168;
	and.b32  	%r169, %r134, -65536;
	mov.b32 	%f133, %r169;
	and.b32  	%r170, %r130, -65536;
	mov.b32 	%f134, %r170;
	fma.rn.f32 	%f504, %f133, %f134, %f132;
	add.f32 	%f135, %f505, %f504;
	add.f32 	%f136, %f128, %f135;
	mov.b32 	%r171, %f505;
	and.b32  	%r172, %r171, 2147483647;
	setp.gt.u32 	%p14, %r172, 2139095040;
	shr.u32 	%r173, %r171, 16;
	and.b32  	%r174, %r173, 1;
	add.s32 	%r175, %r171, %r174;
	add.s32 	%r176, %r175, 32767;
	shr.u32 	%r177, %r176, 16;
	selp.b32 	%r178, 32767, %r177, %p14;
	mov.b32 	%r179, %f504;
	and.b32  	%r180, %r179, 2147483647;
	setp.gt.u32 	%p15, %r180, 2139095040;
	shr.u32 	%r181, %r179, 16;
	and.b32  	%r182, %r181, 1;
	add.s32 	%r183, %r179, %r182;
	add.s32 	%r184, %r183, 32767;
	and.b32  	%r185, %r184, -65536;
	selp.b32 	%r186, 2147418112, %r185, %p15;
	shl.b32 	%r188, %r127, 16;
	mov.b32 	%f137, %r188;
	shl.b32 	%r190, %r135, 16;
	mov.b32 	%f138, %r190;
	shl.b32 	%r192, %r131, 16;
	mov.b32 	%f139, %r192;
	fma.rn.f32 	%f503, %f138, %f139, %f137;
	and.b32  	%r193, %r127, -65536;
	mov.b32 	%f140, %r193;
	and.b32  	%r194, %r135, -65536;
	mov.b32 	%f141, %r194;
	and.b32  	%r195, %r131, -65536;
	mov.b32 	%f142, %r195;
	fma.rn.f32 	%f502, %f141, %f142, %f140;
	add.f32 	%f143, %f503, %f502;
	add.f32 	%f144, %f136, %f143;
	mov.b32 	%r196, %f503;
	and.b32  	%r197, %r196, 2147483647;
	setp.gt.u32 	%p16, %r197, 2139095040;
	shr.u32 	%r198, %r196, 16;
	and.b32  	%r199, %r198, 1;
	add.s32 	%r200, %r196, %r199;
	add.s32 	%r201, %r200, 32767;
	shr.u32 	%r202, %r201, 16;
	selp.b32 	%r203, 32767, %r202, %p16;
	mov.b32 	%r204, %f502;
	and.b32  	%r205, %r204, 2147483647;
	setp.gt.u32 	%p17, %r205, 2139095040;
	shr.u32 	%r206, %r204, 16;
	and.b32  	%r207, %r206, 1;
	add.s32 	%r208, %r204, %r207;
	add.s32 	%r209, %r208, 32767;
	and.b32  	%r210, %r209, -65536;
	selp.b32 	%r211, 2147418112, %r210, %p17;
	shl.b32 	%r213, %r128, 16;
	mov.b32 	%f145, %r213;
	shl.b32 	%r215, %r136, 16;
	mov.b32 	%f146, %r215;
	shl.b32 	%r217, %r132, 16;
	mov.b32 	%f147, %r217;
	fma.rn.f32 	%f501, %f146, %f147, %f145;
	and.b32  	%r218, %r128, -65536;
	mov.b32 	%f148, %r218;
	and.b32  	%r219, %r136, -65536;
	mov.b32 	%f149, %r219;
	and.b32  	%r220, %r132, -65536;
	mov.b32 	%f150, %r220;
	fma.rn.f32 	%f500, %f149, %f150, %f148;
	add.f32 	%f151, %f501, %f500;
	add.f32 	%f508, %f144, %f151;
	mov.b32 	%r221, %f501;
	and.b32  	%r222, %r221, 2147483647;
	setp.gt.u32 	%p18, %r222, 2139095040;
	shr.u32 	%r223, %r221, 16;
	and.b32  	%r224, %r223, 1;
	add.s32 	%r225, %r221, %r224;
	add.s32 	%r226, %r225, 32767;
	shr.u32 	%r227, %r226, 16;
	selp.b32 	%r228, 32767, %r227, %p18;
	mov.b32 	%r229, %f500;
	and.b32  	%r230, %r229, 2147483647;
	setp.gt.u32 	%p19, %r230, 2139095040;
	shr.u32 	%r231, %r229, 16;
	and.b32  	%r232, %r231, 1;
	add.s32 	%r233, %r229, %r232;
	add.s32 	%r234, %r233, 32767;
	and.b32  	%r235, %r234, -65536;
	selp.b32 	%r236, 2147418112, %r235, %p19;
	or.b32  	%r237, %r236, %r228;
	or.b32  	%r238, %r211, %r203;
	or.b32  	%r239, %r186, %r178;
	or.b32  	%r240, %r161, %r153;
	st.global.v4.u32 	[%rd5+4096], {%r240, %r239, %r238, %r237};

$L__BB4_4:
	add.s32 	%r3, %r1, 512;
	setp.ge.s32 	%p20, %r3, %r7;
	@%p20 bra 	$L__BB4_6;

	ld.global.v4.u32 	{%r241, %r242, %r243, %r244}, [%rd2+8192];
	ld.global.v4.u32 	{%r245, %r246, %r247, %r248}, [%rd3+8192];
	ld.global.v4.u32 	{%r249, %r250, %r251, %r252}, [%rd4+8192];
	shl.b32 	%r254, %r241, 16;
	mov.b32 	%f153, %r254;
	shl.b32 	%r256, %r249, 16;
	mov.b32 	%f154, %r256;
	shl.b32 	%r258, %r245, 16;
	mov.b32 	%f155, %r258;
	fma.rn.f32 	%f516, %f154, %f155, %f153;
	and.b32  	%r259, %r241, -65536;
	mov.b32 	%f156, %r259;
	and.b32  	%r260, %r249, -65536;
	mov.b32 	%f157, %r260;
	and.b32  	%r261, %r245, -65536;
	mov.b32 	%f158, %r261;
	fma.rn.f32 	%f515, %f157, %f158, %f156;
	add.f32 	%f159, %f516, %f515;
	add.f32 	%f160, %f508, %f159;
	mov.b32 	%r262, %f516;
	and.b32  	%r263, %r262, 2147483647;
	setp.gt.u32 	%p21, %r263, 2139095040;
	shr.u32 	%r264, %r262, 16;
	and.b32  	%r265, %r264, 1;
	add.s32 	%r266, %r262, %r265;
	add.s32 	%r267, %r266, 32767;
	shr.u32 	%r268, %r267, 16;
	selp.b32 	%r269, 32767, %r268, %p21;
	mov.b32 	%r270, %f515;
	and.b32  	%r271, %r270, 2147483647;
	setp.gt.u32 	%p22, %r271, 2139095040;
	shr.u32 	%r272, %r270, 16;
	and.b32  	%r273, %r272, 1;
	add.s32 	%r274, %r270, %r273;
	add.s32 	%r275, %r274, 32767;
	and.b32  	%r276, %r275, -65536;
	selp.b32 	%r277, 2147418112, %r276, %p22;
	shl.b32 	%r279, %r242, 16;
	mov.b32 	%f161, %r279;
	shl.b32 	%r281, %r250, 16;
	mov.b32 	%f162, %r281;
	shl.b32 	%r283, %r246, 16;
	mov.b32 	%f163, %r283;
	fma.rn.f32 	%f514, %f162, %f163, %f161;
	and.b32  	%r284, %r242, -65536;
	mov.b32 	%f164, %r284;
	and.b32  	%r285, %r250, -65536;
	mov.b32 	%f165, %r285;
	and.b32  	%r286, %r246, -65536;
	mov.b32 	%f166, %r286;
	fma.rn.f32 	%f513, %f165, %f166, %f164;
	add.f32 	%f167, %f514, %f513;
	add.f32 	%f168, %f160, %f167;
	mov.b32 	%r287, %f514;
	and.b32  	%r288, %r287, 2147483647;
	setp.gt.u32 	%p23, %r288, 2139095040;
	shr.u32 	%r289, %r287, 16;
	and.b32  	%r290, %r289, 1;
	add.s32 	%r291, %r287, %r290;
	add.s32 	%r292, %r291, 32767;
	shr.u32 	%r293, %r292, 16;
	selp.b32 	%r294, 32767, %r293, %p23;
	mov.b32 	%r295, %f513;
	and.b32  	%r296, %r295, 2147483647;
	setp.gt.u32 	%p24, %r296, 2139095040;
	shr.u32 	%r297, %r295, 16;
	and.b32  	%r298, %r297, 1;
	add.s32 	%r299, %r295, %r298;
	add.s32 	%r300, %r299, 32767;
	and.b32  	%r301, %r300, -65536;
	selp.b32 	%r302, 2147418112, %r301, %p24;
	shl.b32 	%r304, %r243, 16;
	mov.b32 	%f169, %r304;
	shl.b32 	%r306, %r251, 16;
	mov.b32 	%f170, %r306;
	shl.b32 	%r308, %r247, 16;
	mov.b32 	%f171, %r308;
	fma.rn.f32 	%f512, %f170, %f171, %f169;
	and.b32  	%r309, %r243, -65536;
	mov.b32 	%f172, %r309;
	and.b32  	%r310, %r251, -65536;
	mov.b32 	%f173, %r310;
	and.b32  	%r311, %r247, -65536;
	mov.b32 	%f174, %r311;
	fma.rn.f32 	%f511, %f173, %f174, %f172;
	add.f32 	%f175, %f512, %f511;
	add.f32 	%f176, %f168, %f175;
	mov.b32 	%r312, %f512;
	and.b32  	%r313, %r312, 2147483647;
	setp.gt.u32 	%p25, %r313, 2139095040;
	shr.u32 	%r314, %r312, 16;
	and.b32  	%r315, %r314, 1;
	add.s32 	%r316, %r312, %r315;
	add.s32 	%r317, %r316, 32767;
	shr.u32 	%r318, %r317, 16;
	selp.b32 	%r319, 32767, %r318, %p25;
	mov.b32 	%r320, %f511;
	and.b32  	%r321, %r320, 2147483647;
	setp.gt.u32 	%p26, %r321, 2139095040;
	shr.u32 	%r322, %r320, 16;
	and.b32  	%r323, %r322, 1;
	add.s32 	%r324, %r320, %r323;
	add.s32 	%r325, %r324, 32767;
	and.b32  	%r326, %r325, -65536;
	selp.b32 	%r327, 2147418112, %r326, %p26;
	shl.b32 	%r329, %r244, 16;
	mov.b32 	%f177, %r329;
	shl.b32 	%r331, %r252, 16;
	mov.b32 	%f178, %r331;
	shl.b32 	%r333, %r248, 16;
	mov.b32 	%f179, %r333;
	fma.rn.f32 	%f510, %f178, %f179, %f177;
	and.b32  	%r334, %r244, -65536;
	mov.b32 	%f180, %r334;
	and.b32  	%r335, %r252, -65536;
	mov.b32 	%f181, %r335;
	and.b32  	%r336, %r248, -65536;
	mov.b32 	%f182, %r336;
	fma.rn.f32 	%f509, %f181, %f182, %f180;
	add.f32 	%f183, %f510, %f509;
	add.f32 	%f508, %f176, %f183;
	mov.b32 	%r337, %f510;
	and.b32  	%r338, %r337, 2147483647;
	setp.gt.u32 	%p27, %r338, 2139095040;
	shr.u32 	%r339, %r337, 16;
	and.b32  	%r340, %r339, 1;
	add.s32 	%r341, %r337, %r340;
	add.s32 	%r342, %r341, 32767;
	shr.u32 	%r343, %r342, 16;
	selp.b32 	%r344, 32767, %r343, %p27;
	mov.b32 	%r345, %f509;
	and.b32  	%r346, %r345, 2147483647;
	setp.gt.u32 	%p28, %r346, 2139095040;
	shr.u32 	%r347, %r345, 16;
	and.b32  	%r348, %r347, 1;
	add.s32 	%r349, %r345, %r348;
	add.s32 	%r350, %r349, 32767;
	and.b32  	%r351, %r350, -65536;
	selp.b32 	%r352, 2147418112, %r351, %p28;
	or.b32  	%r353, %r352, %r344;
	or.b32  	%r354, %r327, %r319;
	or.b32  	%r355, %r302, %r294;
	or.b32  	%r356, %r277, %r269;
	st.global.v4.u32 	[%rd5+8192], {%r356, %r355, %r354, %r353};

$L__BB4_6:
	add.s32 	%r4, %r1, 768;
	setp.ge.s32 	%p29, %r4, %r7;
	@%p29 bra 	$L__BB4_8;

	ld.global.v4.u32 	{%r357, %r358, %r359, %r360}, [%rd2+12288];
	ld.global.v4.u32 	{%r361, %r362, %r363, %r364}, [%rd3+12288];
	ld.global.v4.u32 	{%r365, %r366, %r367, %r368}, [%rd4+12288];
	shl.b32 	%r370, %r357, 16;
	mov.b32 	%f185, %r370;
	shl.b32 	%r372, %r365, 16;
	mov.b32 	%f186, %r372;
	shl.b32 	%r374, %r361, 16;
	mov.b32 	%f187, %r374;
	fma.rn.f32 	%f525, %f186, %f187, %f185;
	and.b32  	%r375, %r357, -65536;
	mov.b32 	%f188, %r375;
	and.b32  	%r376, %r365, -65536;
	mov.b32 	%f189, %r376;
	and.b32  	%r377, %r361, -65536;
	mov.b32 	%f190, %r377;
	fma.rn.f32 	%f524, %f189, %f190, %f188;
	add.f32 	%f191, %f525, %f524;
	add.f32 	%f192, %f508, %f191;
	mov.b32 	%r378, %f525;
	and.b32  	%r379, %r378, 2147483647;
	setp.gt.u32 	%p30, %r379, 2139095040;
	shr.u32 	%r380, %r378, 16;
	and.b32  	%r381, %r380, 1;
	add.s32 	%r382, %r378, %r381;
	add.s32 	%r383, %r382, 32767;
	shr.u32 	%r384, %r383, 16;
	selp.b32 	%r385, 32767, %r384, %p30;
	mov.b32 	%r386, %f524;
	and.b32  	%r387, %r386, 2147483647;
	setp.gt.u32 	%p31, %r387, 2139095040;
	shr.u32 	%r388, %r386, 16;
	and.b32  	%r389, %r388, 1;
	add.s32 	%r390, %r386, %r389;
	add.s32 	%r391, %r390, 32767;
	and.b32  	%r392, %r391, -65536;
	selp.b32 	%r393, 2147418112, %r392, %p31;
	shl.b32 	%r395, %r358, 16;
	mov.b32 	%f193, %r395;
	shl.b32 	%r397, %r366, 16;
	mov.b32 	%f194, %r397;
	shl.b32 	%r399, %r362, 16;
	mov.b32 	%f195, %r399;
	fma.rn.f32 	%f523, %f194, %f195, %f193;
	and.b32  	%r400, %r358, -65536;
	mov.b32 	%f196, %r400;
	and.b32  	%r401, %r366, -65536;
	mov.b32 	%f197, %r401;
	and.b32  	%r402, %r362, -65536;
	mov.b32 	%f198, %r402;
	fma.rn.f32 	%f522, %f197, %f198, %f196;
	add.f32 	%f199, %f523, %f522;
	add.f32 	%f200, %f192, %f199;
	mov.b32 	%r403, %f523;
	and.b32  	%r404, %r403, 2147483647;
	setp.gt.u32 	%p32, %r404, 2139095040;
	shr.u32 	%r405, %r403, 16;
	and.b32  	%r406, %r405, 1;
	add.s32 	%r407, %r403, %r406;
	add.s32 	%r408, %r407, 32767;
	shr.u32 	%r409, %r408, 16;
	selp.b32 	%r410, 32767, %r409, %p32;
	mov.b32 	%r411, %f522;
	and.b32  	%r412, %r411, 2147483647;
	setp.gt.u32 	%p33, %r412, 2139095040;
	shr.u32 	%r413, %r411, 16;
	and.b32  	%r414, %r413, 1;
	add.s32 	%r415, %r411, %r414;
	add.s32 	%r416, %r415, 32767;
	and.b32  	%r417, %r416, -65536;
	selp.b32 	%r418, 2147418112, %r417, %p33;
	shl.b32 	%r420, %r359, 16;
	mov.b32 	%f201, %r420;
	shl.b32 	%r422, %r367, 16;
	mov.b32 	%f202, %r422;
	shl.b32 	%r424, %r363, 16;
	mov.b32 	%f203, %r424;
	fma.rn.f32 	%f521, %f202, %f203, %f201;
	and.b32  	%r425, %r359, -65536;
	mov.b32 	%f204, %r425;
	and.b32  	%r426, %r367, -65536;
	mov.b32 	%f205, %r426;
	and.b32  	%r427, %r363, -65536;
	mov.b32 	%f206, %r427;
	fma.rn.f32 	%f520, %f205, %f206, %f204;
	add.f32 	%f207, %f521, %f520;
	add.f32 	%f208, %f200, %f207;
	mov.b32 	%r428, %f521;
	and.b32  	%r429, %r428, 2147483647;
	setp.gt.u32 	%p34, %r429, 2139095040;
	shr.u32 	%r430, %r428, 16;
	and.b32  	%r431, %r430, 1;
	add.s32 	%r432, %r428, %r431;
	add.s32 	%r433, %r432, 32767;
	shr.u32 	%r434, %r433, 16;
	selp.b32 	%r435, 32767, %r434, %p34;
	mov.b32 	%r436, %f520;
	and.b32  	%r437, %r436, 2147483647;
	setp.gt.u32 	%p35, %r437, 2139095040;
	shr.u32 	%r438, %r436, 16;
	and.b32  	%r439, %r438, 1;
	add.s32 	%r440, %r436, %r439;
	add.s32 	%r441, %r440, 32767;
	and.b32  	%r442, %r441, -65536;
	selp.b32 	%r443, 2147418112, %r442, %p35;
	shl.b32 	%r445, %r360, 16;
	mov.b32 	%f209, %r445;
	shl.b32 	%r447, %r368, 16;
	mov.b32 	%f210, %r447;
	shl.b32 	%r449, %r364, 16;
	mov.b32 	%f211, %r449;
	fma.rn.f32 	%f519, %f210, %f211, %f209;
	and.b32  	%r450, %r360, -65536;
	mov.b32 	%f212, %r450;
	and.b32  	%r451, %r368, -65536;
	mov.b32 	%f213, %r451;
	and.b32  	%r452, %r364, -65536;
	mov.b32 	%f214, %r452;
	fma.rn.f32 	%f518, %f213, %f214, %f212;
	add.f32 	%f215, %f519, %f518;
	add.f32 	%f508, %f208, %f215;
	mov.b32 	%r453, %f519;
	and.b32  	%r454, %r453, 2147483647;
	setp.gt.u32 	%p36, %r454, 2139095040;
	shr.u32 	%r455, %r453, 16;
	and.b32  	%r456, %r455, 1;
	add.s32 	%r457, %r453, %r456;
	add.s32 	%r458, %r457, 32767;
	shr.u32 	%r459, %r458, 16;
	selp.b32 	%r460, 32767, %r459, %p36;
	mov.b32 	%r461, %f518;
	and.b32  	%r462, %r461, 2147483647;
	setp.gt.u32 	%p37, %r462, 2139095040;
	shr.u32 	%r463, %r461, 16;
	and.b32  	%r464, %r463, 1;
	add.s32 	%r465, %r461, %r464;
	add.s32 	%r466, %r465, 32767;
	and.b32  	%r467, %r466, -65536;
	selp.b32 	%r468, 2147418112, %r467, %p37;
	or.b32  	%r469, %r468, %r460;
	or.b32  	%r470, %r443, %r435;
	or.b32  	%r471, %r418, %r410;
	or.b32  	%r472, %r393, %r385;
	st.global.v4.u32 	[%rd5+12288], {%r472, %r471, %r470, %r469};

$L__BB4_8:
	mov.b32 	%r473, %f508;
	mov.u32 	%r474, 31;
	mov.u32 	%r475, 16;
	mov.u32 	%r476, -1;
	shfl.sync.bfly.b32 	%r477|%p38, %r473, %r475, %r474, %r476;
	mov.b32 	%f216, %r477;
	add.f32 	%f217, %f508, %f216;
	mov.b32 	%r478, %f217;
	mov.u32 	%r479, 8;
	shfl.sync.bfly.b32 	%r480|%p39, %r478, %r479, %r474, %r476;
	mov.b32 	%f218, %r480;
	add.f32 	%f219, %f217, %f218;
	mov.b32 	%r481, %f219;
	mov.u32 	%r482, 4;
	shfl.sync.bfly.b32 	%r483|%p40, %r481, %r482, %r474, %r476;
	mov.b32 	%f220, %r483;
	add.f32 	%f221, %f219, %f220;
	mov.b32 	%r484, %f221;
	mov.u32 	%r485, 2;
	shfl.sync.bfly.b32 	%r486|%p41, %r484, %r485, %r474, %r476;
	mov.b32 	%f222, %r486;
	add.f32 	%f73, %f221, %f222;
	mov.b32 	%r487, %f73;
	mov.u32 	%r488, 1;
	shfl.sync.bfly.b32 	%r5|%p1, %r487, %r488, %r474, %r476;
	cvt.rn.f32.s32 	%f223, %r7;
	mul.f32 	%f74, %f223, 0f41000000;
	bar.sync 	0;
	and.b32  	%r6, %r1, 31;
	setp.ne.s32 	%p42, %r6, 0;
	shr.u32 	%r489, %r1, 5;
	mul.wide.u32 	%rd27, %r489, 4;
	mov.u64 	%rd28, _ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room;
	add.s64 	%rd6, %rd28, %rd27;
	@%p42 bra 	$L__BB4_10;

	mov.b32 	%f224, %r5;
	add.f32 	%f225, %f73, %f224;
	st.shared.f32 	[%rd6], %f225;

$L__BB4_10:
	ld.param.u32 	%r908, [gated_sum_norm_bfloat16_param_7];
	mov.u32 	%r907, %tid.x;
	bar.sync 	0;
	ld.shared.f32 	%f227, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room];
	add.f32 	%f228, %f227, 0f00000000;
	mov.f32 	%f528, 0f00000000;
	ld.shared.f32 	%f229, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+4];
	add.f32 	%f230, %f228, %f229;
	ld.shared.f32 	%f231, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+8];
	add.f32 	%f232, %f230, %f231;
	ld.shared.f32 	%f233, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+12];
	add.f32 	%f234, %f232, %f233;
	ld.shared.f32 	%f235, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+16];
	add.f32 	%f236, %f234, %f235;
	ld.shared.f32 	%f237, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+20];
	add.f32 	%f238, %f236, %f237;
	ld.shared.f32 	%f239, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+24];
	add.f32 	%f240, %f238, %f239;
	ld.shared.f32 	%f241, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+28];
	add.f32 	%f242, %f240, %f241;
	div.rn.f32 	%f75, %f242, %f74;
	setp.ge.u32 	%p43, %r907, %r908;
	@%p43 bra 	$L__BB4_12;

	sub.f32 	%f243, %f498, %f75;
	fma.rn.f32 	%f244, %f243, %f243, 0f00000000;
	sub.f32 	%f245, %f497, %f75;
	fma.rn.f32 	%f246, %f245, %f245, %f244;
	sub.f32 	%f247, %f496, %f75;
	fma.rn.f32 	%f248, %f247, %f247, %f246;
	sub.f32 	%f249, %f495, %f75;
	fma.rn.f32 	%f250, %f249, %f249, %f248;
	sub.f32 	%f251, %f494, %f75;
	fma.rn.f32 	%f252, %f251, %f251, %f250;
	sub.f32 	%f253, %f493, %f75;
	fma.rn.f32 	%f254, %f253, %f253, %f252;
	sub.f32 	%f255, %f492, %f75;
	fma.rn.f32 	%f256, %f255, %f255, %f254;
	sub.f32 	%f257, %f491, %f75;
	fma.rn.f32 	%f528, %f257, %f257, %f256;

$L__BB4_12:
	mov.u32 	%r911, %tid.x;
	add.s32 	%r910, %r911, 256;
	ld.param.u32 	%r909, [gated_sum_norm_bfloat16_param_7];
	setp.ge.u32 	%p44, %r910, %r909;
	@%p44 bra 	$L__BB4_14;

	sub.f32 	%f258, %f507, %f75;
	fma.rn.f32 	%f259, %f258, %f258, %f528;
	sub.f32 	%f260, %f506, %f75;
	fma.rn.f32 	%f261, %f260, %f260, %f259;
	sub.f32 	%f262, %f505, %f75;
	fma.rn.f32 	%f263, %f262, %f262, %f261;
	sub.f32 	%f264, %f504, %f75;
	fma.rn.f32 	%f265, %f264, %f264, %f263;
	sub.f32 	%f266, %f503, %f75;
	fma.rn.f32 	%f267, %f266, %f266, %f265;
	sub.f32 	%f268, %f502, %f75;
	fma.rn.f32 	%f269, %f268, %f268, %f267;
	sub.f32 	%f270, %f501, %f75;
	fma.rn.f32 	%f271, %f270, %f270, %f269;
	sub.f32 	%f272, %f500, %f75;
	fma.rn.f32 	%f528, %f272, %f272, %f271;

$L__BB4_14:
	mov.u32 	%r914, %tid.x;
	add.s32 	%r913, %r914, 512;
	ld.param.u32 	%r912, [gated_sum_norm_bfloat16_param_7];
	setp.ge.u32 	%p45, %r913, %r912;
	@%p45 bra 	$L__BB4_16;

	sub.f32 	%f273, %f516, %f75;
	fma.rn.f32 	%f274, %f273, %f273, %f528;
	sub.f32 	%f275, %f515, %f75;
	fma.rn.f32 	%f276, %f275, %f275, %f274;
	sub.f32 	%f277, %f514, %f75;
	fma.rn.f32 	%f278, %f277, %f277, %f276;
	sub.f32 	%f279, %f513, %f75;
	fma.rn.f32 	%f280, %f279, %f279, %f278;
	sub.f32 	%f281, %f512, %f75;
	fma.rn.f32 	%f282, %f281, %f281, %f280;
	sub.f32 	%f283, %f511, %f75;
	fma.rn.f32 	%f284, %f283, %f283, %f282;
	sub.f32 	%f285, %f510, %f75;
	fma.rn.f32 	%f286, %f285, %f285, %f284;
	sub.f32 	%f287, %f509, %f75;
	fma.rn.f32 	%f528, %f287, %f287, %f286;

$L__BB4_16:
	mov.u32 	%r917, %tid.x;
	add.s32 	%r916, %r917, 768;
	ld.param.u32 	%r915, [gated_sum_norm_bfloat16_param_7];
	setp.ge.u32 	%p46, %r916, %r915;
	@%p46 bra 	$L__BB4_18;

	sub.f32 	%f288, %f525, %f75;
	fma.rn.f32 	%f289, %f288, %f288, %f528;
	sub.f32 	%f290, %f524, %f75;
	fma.rn.f32 	%f291, %f290, %f290, %f289;
	sub.f32 	%f292, %f523, %f75;
	fma.rn.f32 	%f293, %f292, %f292, %f291;
	sub.f32 	%f294, %f522, %f75;
	fma.rn.f32 	%f295, %f294, %f294, %f293;
	sub.f32 	%f296, %f521, %f75;
	fma.rn.f32 	%f297, %f296, %f296, %f295;
	sub.f32 	%f298, %f520, %f75;
	fma.rn.f32 	%f299, %f298, %f298, %f297;
	sub.f32 	%f300, %f519, %f75;
	fma.rn.f32 	%f301, %f300, %f300, %f299;
	sub.f32 	%f302, %f518, %f75;
	fma.rn.f32 	%f528, %f302, %f302, %f301;

$L__BB4_18:
	mov.b32 	%r490, %f528;
	mov.u32 	%r491, 31;
	mov.u32 	%r492, 16;
	mov.u32 	%r493, -1;
	shfl.sync.bfly.b32 	%r494|%p47, %r490, %r492, %r491, %r493;
	mov.b32 	%f303, %r494;
	add.f32 	%f304, %f528, %f303;
	mov.b32 	%r495, %f304;
	mov.u32 	%r496, 8;
	shfl.sync.bfly.b32 	%r497|%p48, %r495, %r496, %r491, %r493;
	mov.b32 	%f305, %r497;
	add.f32 	%f306, %f304, %f305;
	mov.b32 	%r498, %f306;
	mov.u32 	%r499, 4;
	shfl.sync.bfly.b32 	%r500|%p49, %r498, %r499, %r491, %r493;
	mov.b32 	%f307, %r500;
	add.f32 	%f308, %f306, %f307;
	mov.b32 	%r501, %f308;
	mov.u32 	%r502, 2;
	shfl.sync.bfly.b32 	%r503|%p50, %r501, %r502, %r491, %r493;
	mov.b32 	%f309, %r503;
	add.f32 	%f310, %f308, %f309;
	mov.b32 	%r504, %f310;
	mov.u32 	%r505, 1;
	shfl.sync.bfly.b32 	%r506|%p51, %r504, %r505, %r491, %r493;
	mov.b32 	%f311, %r506;
	add.f32 	%f84, %f310, %f311;
	bar.sync 	0;
	@%p42 bra 	$L__BB4_20;

	st.shared.f32 	[%rd6], %f84;

$L__BB4_20:
	ld.param.u64 	%rd38, [gated_sum_norm_bfloat16_param_6];
	ld.param.u64 	%rd37, [gated_sum_norm_bfloat16_param_4];
	ld.param.u64 	%rd36, [gated_sum_norm_bfloat16_param_3];
	ld.param.f32 	%f490, [gated_sum_norm_bfloat16_param_8];
	bar.sync 	0;
	ld.shared.f32 	%f312, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room];
	add.f32 	%f313, %f312, 0f00000000;
	ld.shared.f32 	%f314, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+4];
	add.f32 	%f315, %f313, %f314;
	ld.shared.f32 	%f316, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+8];
	add.f32 	%f317, %f315, %f316;
	ld.shared.f32 	%f318, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+12];
	add.f32 	%f319, %f317, %f318;
	ld.shared.f32 	%f320, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+16];
	add.f32 	%f321, %f319, %f320;
	ld.shared.f32 	%f322, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+20];
	add.f32 	%f323, %f321, %f322;
	ld.shared.f32 	%f324, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+24];
	add.f32 	%f325, %f323, %f324;
	ld.shared.f32 	%f326, [_ZZ14gated_sum_normI8Bfloat16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+28];
	add.f32 	%f327, %f325, %f326;
	div.rn.f32 	%f328, %f327, %f74;
	add.f32 	%f329, %f328, %f490;
	rsqrt.approx.f32 	%f85, %f329;
	cvta.to.global.u64 	%rd30, %rd36;
	add.s64 	%rd7, %rd30, %rd26;
	cvta.to.global.u64 	%rd32, %rd37;
	add.s64 	%rd8, %rd32, %rd26;
	cvta.to.global.u64 	%rd34, %rd38;
	add.s64 	%rd9, %rd34, %rd23;
	@%p2 bra 	$L__BB4_22;

	ld.global.v4.u32 	{%r507, %r508, %r509, %r510}, [%rd7];
	ld.global.v4.u32 	{%r511, %r512, %r513, %r514}, [%rd8];
	sub.f32 	%f330, %f498, %f75;
	mul.f32 	%f331, %f85, %f330;
	shl.b32 	%r516, %r507, 16;
	mov.b32 	%f332, %r516;
	shl.b32 	%r518, %r511, 16;
	mov.b32 	%f333, %r518;
	fma.rn.f32 	%f334, %f331, %f332, %f333;
	sub.f32 	%f335, %f497, %f75;
	mul.f32 	%f336, %f85, %f335;
	and.b32  	%r519, %r507, -65536;
	mov.b32 	%f337, %r519;
	and.b32  	%r520, %r511, -65536;
	mov.b32 	%f338, %r520;
	fma.rn.f32 	%f339, %f336, %f337, %f338;
	mov.b32 	%r521, %f334;
	and.b32  	%r522, %r521, 2147483647;
	setp.gt.u32 	%p54, %r522, 2139095040;
	shr.u32 	%r523, %r521, 16;
	and.b32  	%r524, %r523, 1;
	add.s32 	%r525, %r521, %r524;
	add.s32 	%r526, %r525, 32767;
	shr.u32 	%r527, %r526, 16;
	selp.b32 	%r528, 32767, %r527, %p54;
	mov.b32 	%r529, %f339;
	and.b32  	%r530, %r529, 2147483647;
	setp.gt.u32 	%p55, %r530, 2139095040;
	shr.u32 	%r531, %r529, 16;
	and.b32  	%r532, %r531, 1;
	add.s32 	%r533, %r529, %r532;
	add.s32 	%r534, %r533, 32767;
	and.b32  	%r535, %r534, -65536;
	selp.b32 	%r536, 2147418112, %r535, %p55;
	sub.f32 	%f340, %f496, %f75;
	mul.f32 	%f341, %f85, %f340;
	shl.b32 	%r538, %r508, 16;
	mov.b32 	%f342, %r538;
	shl.b32 	%r540, %r512, 16;
	mov.b32 	%f343, %r540;
	fma.rn.f32 	%f344, %f341, %f342, %f343;
	sub.f32 	%f345, %f495, %f75;
	mul.f32 	%f346, %f85, %f345;
	and.b32  	%r541, %r508, -65536;
	mov.b32 	%f347, %r541;
	and.b32  	%r542, %r512, -65536;
	mov.b32 	%f348, %r542;
	fma.rn.f32 	%f349, %f346, %f347, %f348;
	mov.b32 	%r543, %f344;
	and.b32  	%r544, %r543, 2147483647;
	setp.gt.u32 	%p56, %r544, 2139095040;
	shr.u32 	%r545, %r543, 16;
	and.b32  	%r546, %r545, 1;
	add.s32 	%r547, %r543, %r546;
	add.s32 	%r548, %r547, 32767;
	shr.u32 	%r549, %r548, 16;
	selp.b32 	%r550, 32767, %r549, %p56;
	mov.b32 	%r551, %f349;
	and.b32  	%r552, %r551, 2147483647;
	setp.gt.u32 	%p57, %r552, 2139095040;
	shr.u32 	%r553, %r551, 16;
	and.b32  	%r554, %r553, 1;
	add.s32 	%r555, %r551, %r554;
	add.s32 	%r556, %r555, 32767;
	and.b32  	%r557, %r556, -65536;
	selp.b32 	%r558, 2147418112, %r557, %p57;
	sub.f32 	%f350, %f494, %f75;
	mul.f32 	%f351, %f85, %f350;
	shl.b32 	%r560, %r509, 16;
	mov.b32 	%f352, %r560;
	shl.b32 	%r562, %r513, 16;
	mov.b32 	%f353, %r562;
	fma.rn.f32 	%f354, %f351, %f352, %f353;
	sub.f32 	%f355, %f493, %f75;
	mul.f32 	%f356, %f85, %f355;
	and.b32  	%r563, %r509, -65536;
	mov.b32 	%f357, %r563;
	and.b32  	%r564, %r513, -65536;
	mov.b32 	%f358, %r564;
	fma.rn.f32 	%f359, %f356, %f357, %f358;
	mov.b32 	%r565, %f354;
	and.b32  	%r566, %r565, 2147483647;
	setp.gt.u32 	%p58, %r566, 2139095040;
	shr.u32 	%r567, %r565, 16;
	and.b32  	%r568, %r567, 1;
	add.s32 	%r569, %r565, %r568;
	add.s32 	%r570, %r569, 32767;
	shr.u32 	%r571, %r570, 16;
	selp.b32 	%r572, 32767, %r571, %p58;
	mov.b32 	%r573, %f359;
	and.b32  	%r574, %r573, 2147483647;
	setp.gt.u32 	%p59, %r574, 2139095040;
	shr.u32 	%r575, %r573, 16;
	and.b32  	%r576, %r575, 1;
	add.s32 	%r577, %r573, %r576;
	add.s32 	%r578, %r577, 32767;
	and.b32  	%r579, %r578, -65536;
	selp.b32 	%r580, 2147418112, %r579, %p59;
	sub.f32 	%f360, %f492, %f75;
	mul.f32 	%f361, %f85, %f360;
	shl.b32 	%r582, %r510, 16;
	mov.b32 	%f362, %r582;
	shl.b32 	%r584, %r514, 16;
	mov.b32 	%f363, %r584;
	fma.rn.f32 	%f364, %f361, %f362, %f363;
	sub.f32 	%f365, %f491, %f75;
	mul.f32 	%f366, %f85, %f365;
	and.b32  	%r585, %r510, -65536;
	mov.b32 	%f367, %r585;
	and.b32  	%r586, %r514, -65536;
	mov.b32 	%f368, %r586;
	fma.rn.f32 	%f369, %f366, %f367, %f368;
	mov.b32 	%r587, %f364;
	and.b32  	%r588, %r587, 2147483647;
	setp.gt.u32 	%p60, %r588, 2139095040;
	shr.u32 	%r589, %r587, 16;
	and.b32  	%r590, %r589, 1;
	add.s32 	%r591, %r587, %r590;
	add.s32 	%r592, %r591, 32767;
	shr.u32 	%r593, %r592, 16;
	selp.b32 	%r594, 32767, %r593, %p60;
	mov.b32 	%r595, %f369;
	and.b32  	%r596, %r595, 2147483647;
	setp.gt.u32 	%p61, %r596, 2139095040;
	shr.u32 	%r597, %r595, 16;
	and.b32  	%r598, %r597, 1;
	add.s32 	%r599, %r595, %r598;
	add.s32 	%r600, %r599, 32767;
	and.b32  	%r601, %r600, -65536;
	selp.b32 	%r602, 2147418112, %r601, %p61;
	or.b32  	%r603, %r602, %r594;
	or.b32  	%r604, %r580, %r572;
	or.b32  	%r605, %r558, %r550;
	or.b32  	%r606, %r536, %r528;
	st.global.v4.u32 	[%rd9], {%r606, %r605, %r604, %r603};

$L__BB4_22:
	@%p11 bra 	$L__BB4_24;

	ld.global.v4.u32 	{%r607, %r608, %r609, %r610}, [%rd7+4096];
	ld.global.v4.u32 	{%r611, %r612, %r613, %r614}, [%rd8+4096];
	sub.f32 	%f370, %f507, %f75;
	mul.f32 	%f371, %f85, %f370;
	shl.b32 	%r616, %r607, 16;
	mov.b32 	%f372, %r616;
	shl.b32 	%r618, %r611, 16;
	mov.b32 	%f373, %r618;
	fma.rn.f32 	%f374, %f371, %f372, %f373;
	sub.f32 	%f375, %f506, %f75;
	mul.f32 	%f376, %f85, %f375;
	and.b32  	%r619, %r607, -65536;
	mov.b32 	%f377, %r619;
	and.b32  	%r620, %r611, -65536;
	mov.b32 	%f378, %r620;
	fma.rn.f32 	%f379, %f376, %f377, %f378;
	mov.b32 	%r621, %f374;
	and.b32  	%r622, %r621, 2147483647;
	setp.gt.u32 	%p63, %r622, 2139095040;
	shr.u32 	%r623, %r621, 16;
	and.b32  	%r624, %r623, 1;
	add.s32 	%r625, %r621, %r624;
	add.s32 	%r626, %r625, 32767;
	shr.u32 	%r627, %r626, 16;
	selp.b32 	%r628, 32767, %r627, %p63;
	mov.b32 	%r629, %f379;
	and.b32  	%r630, %r629, 2147483647;
	setp.gt.u32 	%p64, %r630, 2139095040;
	shr.u32 	%r631, %r629, 16;
	and.b32  	%r632, %r631, 1;
	add.s32 	%r633, %r629, %r632;
	add.s32 	%r634, %r633, 32767;
	and.b32  	%r635, %r634, -65536;
	selp.b32 	%r636, 2147418112, %r635, %p64;
	sub.f32 	%f380, %f505, %f75;
	mul.f32 	%f381, %f85, %f380;
	shl.b32 	%r638, %r608, 16;
	mov.b32 	%f382, %r638;
	shl.b32 	%r640, %r612, 16;
	mov.b32 	%f383, %r640;
	fma.rn.f32 	%f384, %f381, %f382, %f383;
	sub.f32 	%f385, %f504, %f75;
	mul.f32 	%f386, %f85, %f385;
	and.b32  	%r641, %r608, -65536;
	mov.b32 	%f387, %r641;
	and.b32  	%r642, %r612, -65536;
	mov.b32 	%f388, %r642;
	fma.rn.f32 	%f389, %f386, %f387, %f388;
	mov.b32 	%r643, %f384;
	and.b32  	%r644, %r643, 2147483647;
	setp.gt.u32 	%p65, %r644, 2139095040;
	shr.u32 	%r645, %r643, 16;
	and.b32  	%r646, %r645, 1;
	add.s32 	%r647, %r643, %r646;
	add.s32 	%r648, %r647, 32767;
	shr.u32 	%r649, %r648, 16;
	selp.b32 	%r650, 32767, %r649, %p65;
	mov.b32 	%r651, %f389;
	and.b32  	%r652, %r651, 2147483647;
	setp.gt.u32 	%p66, %r652, 2139095040;
	shr.u32 	%r653, %r651, 16;
	and.b32  	%r654, %r653, 1;
	add.s32 	%r655, %r651, %r654;
	add.s32 	%r656, %r655, 32767;
	and.b32  	%r657, %r656, -65536;
	selp.b32 	%r658, 2147418112, %r657, %p66;
	sub.f32 	%f390, %f503, %f75;
	mul.f32 	%f391, %f85, %f390;
	shl.b32 	%r660, %r609, 16;
	mov.b32 	%f392, %r660;
	shl.b32 	%r662, %r613, 16;
	mov.b32 	%f393, %r662;
	fma.rn.f32 	%f394, %f391, %f392, %f393;
	sub.f32 	%f395, %f502, %f75;
	mul.f32 	%f396, %f85, %f395;
	and.b32  	%r663, %r609, -65536;
	mov.b32 	%f397, %r663;
	and.b32  	%r664, %r613, -65536;
	mov.b32 	%f398, %r664;
	fma.rn.f32 	%f399, %f396, %f397, %f398;
	mov.b32 	%r665, %f394;
	and.b32  	%r666, %r665, 2147483647;
	setp.gt.u32 	%p67, %r666, 2139095040;
	shr.u32 	%r667, %r665, 16;
	and.b32  	%r668, %r667, 1;
	add.s32 	%r669, %r665, %r668;
	add.s32 	%r670, %r669, 32767;
	shr.u32 	%r671, %r670, 16;
	selp.b32 	%r672, 32767, %r671, %p67;
	mov.b32 	%r673, %f399;
	and.b32  	%r674, %r673, 2147483647;
	setp.gt.u32 	%p68, %r674, 2139095040;
	shr.u32 	%r675, %r673, 16;
	and.b32  	%r676, %r675, 1;
	add.s32 	%r677, %r673, %r676;
	add.s32 	%r678, %r677, 32767;
	and.b32  	%r679, %r678, -65536;
	selp.b32 	%r680, 2147418112, %r679, %p68;
	sub.f32 	%f400, %f501, %f75;
	mul.f32 	%f401, %f85, %f400;
	shl.b32 	%r682, %r610, 16;
	mov.b32 	%f402, %r682;
	shl.b32 	%r684, %r614, 16;
	mov.b32 	%f403, %r684;
	fma.rn.f32 	%f404, %f401, %f402, %f403;
	sub.f32 	%f405, %f500, %f75;
	mul.f32 	%f406, %f85, %f405;
	and.b32  	%r685, %r610, -65536;
	mov.b32 	%f407, %r685;
	and.b32  	%r686, %r614, -65536;
	mov.b32 	%f408, %r686;
	fma.rn.f32 	%f409, %f406, %f407, %f408;
	mov.b32 	%r687, %f404;
	and.b32  	%r688, %r687, 2147483647;
	setp.gt.u32 	%p69, %r688, 2139095040;
	shr.u32 	%r689, %r687, 16;
	and.b32  	%r690, %r689, 1;
	add.s32 	%r691, %r687, %r690;
	add.s32 	%r692, %r691, 32767;
	shr.u32 	%r693, %r692, 16;
	selp.b32 	%r694, 32767, %r693, %p69;
	mov.b32 	%r695, %f409;
	and.b32  	%r696, %r695, 2147483647;
	setp.gt.u32 	%p70, %r696, 2139095040;
	shr.u32 	%r697, %r695, 16;
	and.b32  	%r698, %r697, 1;
	add.s32 	%r699, %r695, %r698;
	add.s32 	%r700, %r699, 32767;
	and.b32  	%r701, %r700, -65536;
	selp.b32 	%r702, 2147418112, %r701, %p70;
	or.b32  	%r703, %r702, %r694;
	or.b32  	%r704, %r680, %r672;
	or.b32  	%r705, %r658, %r650;
	or.b32  	%r706, %r636, %r628;
	st.global.v4.u32 	[%rd9+4096], {%r706, %r705, %r704, %r703};

$L__BB4_24:
	@%p20 bra 	$L__BB4_26;

	ld.global.v4.u32 	{%r707, %r708, %r709, %r710}, [%rd7+8192];
	ld.global.v4.u32 	{%r711, %r712, %r713, %r714}, [%rd8+8192];
	sub.f32 	%f410, %f516, %f75;
	mul.f32 	%f411, %f85, %f410;
	shl.b32 	%r716, %r707, 16;
	mov.b32 	%f412, %r716;
	shl.b32 	%r718, %r711, 16;
	mov.b32 	%f413, %r718;
	fma.rn.f32 	%f414, %f411, %f412, %f413;
	sub.f32 	%f415, %f515, %f75;
	mul.f32 	%f416, %f85, %f415;
	and.b32  	%r719, %r707, -65536;
	mov.b32 	%f417, %r719;
	and.b32  	%r720, %r711, -65536;
	mov.b32 	%f418, %r720;
	fma.rn.f32 	%f419, %f416, %f417, %f418;
	mov.b32 	%r721, %f414;
	and.b32  	%r722, %r721, 2147483647;
	setp.gt.u32 	%p72, %r722, 2139095040;
	shr.u32 	%r723, %r721, 16;
	and.b32  	%r724, %r723, 1;
	add.s32 	%r725, %r721, %r724;
	add.s32 	%r726, %r725, 32767;
	shr.u32 	%r727, %r726, 16;
	selp.b32 	%r728, 32767, %r727, %p72;
	mov.b32 	%r729, %f419;
	and.b32  	%r730, %r729, 2147483647;
	setp.gt.u32 	%p73, %r730, 2139095040;
	shr.u32 	%r731, %r729, 16;
	and.b32  	%r732, %r731, 1;
	add.s32 	%r733, %r729, %r732;
	add.s32 	%r734, %r733, 32767;
	and.b32  	%r735, %r734, -65536;
	selp.b32 	%r736, 2147418112, %r735, %p73;
	sub.f32 	%f420, %f514, %f75;
	mul.f32 	%f421, %f85, %f420;
	shl.b32 	%r738, %r708, 16;
	mov.b32 	%f422, %r738;
	shl.b32 	%r740, %r712, 16;
	mov.b32 	%f423, %r740;
	fma.rn.f32 	%f424, %f421, %f422, %f423;
	sub.f32 	%f425, %f513, %f75;
	mul.f32 	%f426, %f85, %f425;
	and.b32  	%r741, %r708, -65536;
	mov.b32 	%f427, %r741;
	and.b32  	%r742, %r712, -65536;
	mov.b32 	%f428, %r742;
	fma.rn.f32 	%f429, %f426, %f427, %f428;
	mov.b32 	%r743, %f424;
	and.b32  	%r744, %r743, 2147483647;
	setp.gt.u32 	%p74, %r744, 2139095040;
	shr.u32 	%r745, %r743, 16;
	and.b32  	%r746, %r745, 1;
	add.s32 	%r747, %r743, %r746;
	add.s32 	%r748, %r747, 32767;
	shr.u32 	%r749, %r748, 16;
	selp.b32 	%r750, 32767, %r749, %p74;
	mov.b32 	%r751, %f429;
	and.b32  	%r752, %r751, 2147483647;
	setp.gt.u32 	%p75, %r752, 2139095040;
	shr.u32 	%r753, %r751, 16;
	and.b32  	%r754, %r753, 1;
	add.s32 	%r755, %r751, %r754;
	add.s32 	%r756, %r755, 32767;
	and.b32  	%r757, %r756, -65536;
	selp.b32 	%r758, 2147418112, %r757, %p75;
	sub.f32 	%f430, %f512, %f75;
	mul.f32 	%f431, %f85, %f430;
	shl.b32 	%r760, %r709, 16;
	mov.b32 	%f432, %r760;
	shl.b32 	%r762, %r713, 16;
	mov.b32 	%f433, %r762;
	fma.rn.f32 	%f434, %f431, %f432, %f433;
	sub.f32 	%f435, %f511, %f75;
	mul.f32 	%f436, %f85, %f435;
	and.b32  	%r763, %r709, -65536;
	mov.b32 	%f437, %r763;
	and.b32  	%r764, %r713, -65536;
	mov.b32 	%f438, %r764;
	fma.rn.f32 	%f439, %f436, %f437, %f438;
	mov.b32 	%r765, %f434;
	and.b32  	%r766, %r765, 2147483647;
	setp.gt.u32 	%p76, %r766, 2139095040;
	shr.u32 	%r767, %r765, 16;
	and.b32  	%r768, %r767, 1;
	add.s32 	%r769, %r765, %r768;
	add.s32 	%r770, %r769, 32767;
	shr.u32 	%r771, %r770, 16;
	selp.b32 	%r772, 32767, %r771, %p76;
	mov.b32 	%r773, %f439;
	and.b32  	%r774, %r773, 2147483647;
	setp.gt.u32 	%p77, %r774, 2139095040;
	shr.u32 	%r775, %r773, 16;
	and.b32  	%r776, %r775, 1;
	add.s32 	%r777, %r773, %r776;
	add.s32 	%r778, %r777, 32767;
	and.b32  	%r779, %r778, -65536;
	selp.b32 	%r780, 2147418112, %r779, %p77;
	sub.f32 	%f440, %f510, %f75;
	mul.f32 	%f441, %f85, %f440;
	shl.b32 	%r782, %r710, 16;
	mov.b32 	%f442, %r782;
	shl.b32 	%r784, %r714, 16;
	mov.b32 	%f443, %r784;
	fma.rn.f32 	%f444, %f441, %f442, %f443;
	sub.f32 	%f445, %f509, %f75;
	mul.f32 	%f446, %f85, %f445;
	and.b32  	%r785, %r710, -65536;
	mov.b32 	%f447, %r785;
	and.b32  	%r786, %r714, -65536;
	mov.b32 	%f448, %r786;
	fma.rn.f32 	%f449, %f446, %f447, %f448;
	mov.b32 	%r787, %f444;
	and.b32  	%r788, %r787, 2147483647;
	setp.gt.u32 	%p78, %r788, 2139095040;
	shr.u32 	%r789, %r787, 16;
	and.b32  	%r790, %r789, 1;
	add.s32 	%r791, %r787, %r790;
	add.s32 	%r792, %r791, 32767;
	shr.u32 	%r793, %r792, 16;
	selp.b32 	%r794, 32767, %r793, %p78;
	mov.b32 	%r795, %f449;
	and.b32  	%r796, %r795, 2147483647;
	setp.gt.u32 	%p79, %r796, 2139095040;
	shr.u32 	%r797, %r795, 16;
	and.b32  	%r798, %r797, 1;
	add.s32 	%r799, %r795, %r798;
	add.s32 	%r800, %r799, 32767;
	and.b32  	%r801, %r800, -65536;
	selp.b32 	%r802, 2147418112, %r801, %p79;
	or.b32  	%r803, %r802, %r794;
	or.b32  	%r804, %r780, %r772;
	or.b32  	%r805, %r758, %r750;
	or.b32  	%r806, %r736, %r728;
	st.global.v4.u32 	[%rd9+8192], {%r806, %r805, %r804, %r803};

$L__BB4_26:
	@%p29 bra 	$L__BB4_28;

	ld.global.v4.u32 	{%r807, %r808, %r809, %r810}, [%rd7+12288];
	ld.global.v4.u32 	{%r811, %r812, %r813, %r814}, [%rd8+12288];
	sub.f32 	%f450, %f525, %f75;
	mul.f32 	%f451, %f85, %f450;
	shl.b32 	%r816, %r807, 16;
	mov.b32 	%f452, %r816;
	shl.b32 	%r818, %r811, 16;
	mov.b32 	%f453, %r818;
	fma.rn.f32 	%f454, %f451, %f452, %f453;
	sub.f32 	%f455, %f524, %f75;
	mul.f32 	%f456, %f85, %f455;
	and.b32  	%r819, %r807, -65536;
	mov.b32 	%f457, %r819;
	and.b32  	%r820, %r811, -65536;
	mov.b32 	%f458, %r820;
	fma.rn.f32 	%f459, %f456, %f457, %f458;
	mov.b32 	%r821, %f454;
	and.b32  	%r822, %r821, 2147483647;
	setp.gt.u32 	%p81, %r822, 2139095040;
	shr.u32 	%r823, %r821, 16;
	and.b32  	%r824, %r823, 1;
	add.s32 	%r825, %r821, %r824;
	add.s32 	%r826, %r825, 32767;
	shr.u32 	%r827, %r826, 16;
	selp.b32 	%r828, 32767, %r827, %p81;
	mov.b32 	%r829, %f459;
	and.b32  	%r830, %r829, 2147483647;
	setp.gt.u32 	%p82, %r830, 2139095040;
	shr.u32 	%r831, %r829, 16;
	and.b32  	%r832, %r831, 1;
	add.s32 	%r833, %r829, %r832;
	add.s32 	%r834, %r833, 32767;
	and.b32  	%r835, %r834, -65536;
	selp.b32 	%r836, 2147418112, %r835, %p82;
	sub.f32 	%f460, %f523, %f75;
	mul.f32 	%f461, %f85, %f460;
	shl.b32 	%r838, %r808, 16;
	mov.b32 	%f462, %r838;
	shl.b32 	%r840, %r812, 16;
	mov.b32 	%f463, %r840;
	fma.rn.f32 	%f464, %f461, %f462, %f463;
	sub.f32 	%f465, %f522, %f75;
	mul.f32 	%f466, %f85, %f465;
	and.b32  	%r841, %r808, -65536;
	mov.b32 	%f467, %r841;
	and.b32  	%r842, %r812, -65536;
	mov.b32 	%f468, %r842;
	fma.rn.f32 	%f469, %f466, %f467, %f468;
	mov.b32 	%r843, %f464;
	and.b32  	%r844, %r843, 2147483647;
	setp.gt.u32 	%p83, %r844, 2139095040;
	shr.u32 	%r845, %r843, 16;
	and.b32  	%r846, %r845, 1;
	add.s32 	%r847, %r843, %r846;
	add.s32 	%r848, %r847, 32767;
	shr.u32 	%r849, %r848, 16;
	selp.b32 	%r850, 32767, %r849, %p83;
	mov.b32 	%r851, %f469;
	and.b32  	%r852, %r851, 2147483647;
	setp.gt.u32 	%p84, %r852, 2139095040;
	shr.u32 	%r853, %r851, 16;
	and.b32  	%r854, %r853, 1;
	add.s32 	%r855, %r851, %r854;
	add.s32 	%r856, %r855, 32767;
	and.b32  	%r857, %r856, -65536;
	selp.b32 	%r858, 2147418112, %r857, %p84;
	sub.f32 	%f470, %f521, %f75;
	mul.f32 	%f471, %f85, %f470;
	shl.b32 	%r860, %r809, 16;
	mov.b32 	%f472, %r860;
	shl.b32 	%r862, %r813, 16;
	mov.b32 	%f473, %r862;
	fma.rn.f32 	%f474, %f471, %f472, %f473;
	sub.f32 	%f475, %f520, %f75;
	mul.f32 	%f476, %f85, %f475;
	and.b32  	%r863, %r809, -65536;
	mov.b32 	%f477, %r863;
	and.b32  	%r864, %r813, -65536;
	mov.b32 	%f478, %r864;
	fma.rn.f32 	%f479, %f476, %f477, %f478;
	mov.b32 	%r865, %f474;
	and.b32  	%r866, %r865, 2147483647;
	setp.gt.u32 	%p85, %r866, 2139095040;
	shr.u32 	%r867, %r865, 16;
	and.b32  	%r868, %r867, 1;
	add.s32 	%r869, %r865, %r868;
	add.s32 	%r870, %r869, 32767;
	shr.u32 	%r871, %r870, 16;
	selp.b32 	%r872, 32767, %r871, %p85;
	mov.b32 	%r873, %f479;
	and.b32  	%r874, %r873, 2147483647;
	setp.gt.u32 	%p86, %r874, 2139095040;
	shr.u32 	%r875, %r873, 16;
	and.b32  	%r876, %r875, 1;
	add.s32 	%r877, %r873, %r876;
	add.s32 	%r878, %r877, 32767;
	and.b32  	%r879, %r878, -65536;
	selp.b32 	%r880, 2147418112, %r879, %p86;
	sub.f32 	%f480, %f519, %f75;
	mul.f32 	%f481, %f85, %f480;
	shl.b32 	%r882, %r810, 16;
	mov.b32 	%f482, %r882;
	shl.b32 	%r884, %r814, 16;
	mov.b32 	%f483, %r884;
	fma.rn.f32 	%f484, %f481, %f482, %f483;
	sub.f32 	%f485, %f518, %f75;
	mul.f32 	%f486, %f85, %f485;
	and.b32  	%r885, %r810, -65536;
	mov.b32 	%f487, %r885;
	and.b32  	%r886, %r814, -65536;
	mov.b32 	%f488, %r886;
	fma.rn.f32 	%f489, %f486, %f487, %f488;
	mov.b32 	%r887, %f484;
	and.b32  	%r888, %r887, 2147483647;
	setp.gt.u32 	%p87, %r888, 2139095040;
	shr.u32 	%r889, %r887, 16;
	and.b32  	%r890, %r889, 1;
	add.s32 	%r891, %r887, %r890;
	add.s32 	%r892, %r891, 32767;
	shr.u32 	%r893, %r892, 16;
	selp.b32 	%r894, 32767, %r893, %p87;
	mov.b32 	%r895, %f489;
	and.b32  	%r896, %r895, 2147483647;
	setp.gt.u32 	%p88, %r896, 2139095040;
	shr.u32 	%r897, %r895, 16;
	and.b32  	%r898, %r897, 1;
	add.s32 	%r899, %r895, %r898;
	add.s32 	%r900, %r899, 32767;
	and.b32  	%r901, %r900, -65536;
	selp.b32 	%r902, 2147418112, %r901, %p88;
	or.b32  	%r903, %r902, %r894;
	or.b32  	%r904, %r880, %r872;
	or.b32  	%r905, %r858, %r850;
	or.b32  	%r906, %r836, %r828;
	st.global.v4.u32 	[%rd9+12288], {%r906, %r905, %r904, %r903};

$L__BB4_28:
	ret;

}
	// .globl	rotate_heads_float16
.visible .entry rotate_heads_float16(
	.param .u64 rotate_heads_float16_param_0,
	.param .u64 rotate_heads_float16_param_1,
	.param .u64 rotate_heads_float16_param_2,
	.param .u64 rotate_heads_float16_param_3,
	.param .u64 rotate_heads_float16_param_4,
	.param .u32 rotate_heads_float16_param_5,
	.param .u32 rotate_heads_float16_param_6,
	.param .u32 rotate_heads_float16_param_7,
	.param .u32 rotate_heads_float16_param_8,
	.param .u32 rotate_heads_float16_param_9,
	.param .u32 rotate_heads_float16_param_10,
	.param .f32 rotate_heads_float16_param_11
)
{
	.reg .pred 	%p<13>;
	.reg .b16 	%rs<25>;
	.reg .f32 	%f<123>;
	.reg .b32 	%r<75>;
	.reg .b64 	%rd<52>;


	ld.param.u64 	%rd15, [rotate_heads_float16_param_0];
	ld.param.u64 	%rd16, [rotate_heads_float16_param_1];
	ld.param.u64 	%rd17, [rotate_heads_float16_param_2];
	ld.param.u64 	%rd18, [rotate_heads_float16_param_3];
	ld.param.u64 	%rd19, [rotate_heads_float16_param_4];
	ld.param.u32 	%r11, [rotate_heads_float16_param_5];
	ld.param.u32 	%r7, [rotate_heads_float16_param_6];
	ld.param.u32 	%r8, [rotate_heads_float16_param_7];
	ld.param.u32 	%r9, [rotate_heads_float16_param_8];
	ld.param.s32 	%rd2, [rotate_heads_float16_param_9];
	ld.param.u32 	%r10, [rotate_heads_float16_param_10];
	ld.param.f32 	%f22, [rotate_heads_float16_param_11];
	mov.u32 	%r12, %tid.x;
	and.b32  	%r1, %r12, 31;
	mov.u32 	%r13, %ctaid.x;
	mov.u32 	%r14, %ntid.x;
	shr.u32 	%r15, %r14, 5;
	mul.wide.u32 	%rd20, %r15, %r13;
	shr.u32 	%r16, %r12, 5;
	cvt.u64.u32 	%rd21, %r16;
	add.s64 	%rd1, %rd20, %rd21;
	mul.wide.s32 	%rd22, %r7, %r11;
	mul.lo.s64 	%rd23, %rd22, %rd2;
	setp.ge.s64 	%p1, %rd1, %rd23;
	@%p1 bra 	$L__BB5_15;

	or.b64  	%rd24, %rd1, %rd2;
	and.b64  	%rd25, %rd24, -4294967296;
	setp.eq.s64 	%p2, %rd25, 0;
	@%p2 bra 	$L__BB5_3;

	div.s64 	%rd50, %rd1, %rd2;
	bra.uni 	$L__BB5_4;

$L__BB5_3:
	cvt.u32.u64 	%r17, %rd2;
	cvt.u32.u64 	%r18, %rd1;
	div.u32 	%r19, %r18, %r17;
	cvt.u64.u32 	%rd50, %r19;

$L__BB5_4:
	cvt.u32.u64 	%r2, %rd50;
	div.s32 	%r3, %r2, %r7;
	shr.s32 	%r20, %r10, 31;
	shr.u32 	%r21, %r20, 30;
	add.s32 	%r22, %r10, %r21;
	shr.s32 	%r23, %r22, 2;
	cvt.s64.s32 	%rd6, %r23;
	mul.lo.s64 	%rd26, %rd1, %rd6;
	setp.ge.s32 	%p3, %r1, %r23;
	cvt.u64.u32 	%rd27, %r1;
	add.s64 	%rd28, %rd26, %rd27;
	cvta.to.global.u64 	%rd29, %rd15;
	shl.b64 	%rd30, %rd28, 3;
	add.s64 	%rd7, %rd29, %rd30;
	mov.f32 	%f122, 0f00000000;
	@%p3 bra 	$L__BB5_6;

	ld.global.v2.u32 	{%r24, %r25}, [%rd7];
	cvt.u16.u32 	%rs1, %r24;
	// begin inline asm
	cvt.f32.f16 %f116, %rs1;
	// end inline asm
	shr.u32 	%r28, %r24, 16;
	cvt.u16.u32 	%rs2, %r28;
	// begin inline asm
	cvt.f32.f16 %f115, %rs2;
	// end inline asm
	cvt.u16.u32 	%rs3, %r25;
	// begin inline asm
	cvt.f32.f16 %f114, %rs3;
	// end inline asm
	shr.u32 	%r29, %r25, 16;
	cvt.u16.u32 	%rs4, %r29;
	// begin inline asm
	cvt.f32.f16 %f113, %rs4;
	// end inline asm
	fma.rn.f32 	%f29, %f116, %f116, 0f00000000;
	fma.rn.f32 	%f30, %f115, %f115, %f29;
	fma.rn.f32 	%f31, %f114, %f114, %f30;
	fma.rn.f32 	%f122, %f113, %f113, %f31;

$L__BB5_6:
	or.b32  	%r4, %r1, 32;
	cvt.u32.u64 	%r5, %rd6;
	setp.ge.s32 	%p4, %r4, %r5;
	@%p4 bra 	$L__BB5_8;

	ld.global.v2.u32 	{%r30, %r31}, [%rd7+256];
	cvt.u16.u32 	%rs5, %r30;
	// begin inline asm
	cvt.f32.f16 %f121, %rs5;
	// end inline asm
	shr.u32 	%r34, %r30, 16;
	cvt.u16.u32 	%rs6, %r34;
	// begin inline asm
	cvt.f32.f16 %f120, %rs6;
	// end inline asm
	cvt.u16.u32 	%rs7, %r31;
	// begin inline asm
	cvt.f32.f16 %f119, %rs7;
	// end inline asm
	shr.u32 	%r35, %r31, 16;
	cvt.u16.u32 	%rs8, %r35;
	// begin inline asm
	cvt.f32.f16 %f118, %rs8;
	// end inline asm
	fma.rn.f32 	%f37, %f121, %f121, %f122;
	fma.rn.f32 	%f38, %f120, %f120, %f37;
	fma.rn.f32 	%f39, %f119, %f119, %f38;
	fma.rn.f32 	%f122, %f118, %f118, %f39;

$L__BB5_8:
	mov.b32 	%r36, %f122;
	mov.u32 	%r37, 31;
	mov.u32 	%r38, 16;
	mov.u32 	%r39, -1;
	shfl.sync.bfly.b32 	%r40|%p5, %r36, %r38, %r37, %r39;
	mov.b32 	%f40, %r40;
	add.f32 	%f41, %f122, %f40;
	mov.b32 	%r41, %f41;
	mov.u32 	%r42, 8;
	shfl.sync.bfly.b32 	%r43|%p6, %r41, %r42, %r37, %r39;
	mov.b32 	%f42, %r43;
	add.f32 	%f43, %f41, %f42;
	mov.b32 	%r44, %f43;
	mov.u32 	%r45, 4;
	shfl.sync.bfly.b32 	%r46|%p7, %r44, %r45, %r37, %r39;
	mov.b32 	%f44, %r46;
	add.f32 	%f45, %f43, %f44;
	mov.b32 	%r47, %f45;
	mov.u32 	%r48, 2;
	shfl.sync.bfly.b32 	%r49|%p8, %r47, %r48, %r37, %r39;
	mov.b32 	%f46, %r49;
	add.f32 	%f47, %f45, %f46;
	mov.b32 	%r50, %f47;
	mov.u32 	%r51, 1;
	shfl.sync.bfly.b32 	%r52|%p9, %r50, %r51, %r37, %r39;
	mov.b32 	%f48, %r52;
	add.f32 	%f49, %f47, %f48;
	cvt.rn.f32.s32 	%f50, %r10;
	div.rn.f32 	%f51, %f49, %f50;
	add.f32 	%f52, %f51, %f22;
	rsqrt.approx.f32 	%f21, %f52;
	add.s32 	%r53, %r2, %r8;
	mul.lo.s32 	%r54, %r3, %r7;
	sub.s32 	%r6, %r53, %r54;
	@%p2 bra 	$L__BB5_10;

	rem.s64 	%rd51, %rd1, %rd2;
	bra.uni 	$L__BB5_11;

$L__BB5_10:
	cvt.u32.u64 	%r55, %rd2;
	cvt.u32.u64 	%r56, %rd1;
	rem.u32 	%r57, %r56, %r55;
	cvt.u64.u32 	%rd51, %r57;

$L__BB5_11:
	cvt.s64.s32 	%rd33, %r6;
	setp.ge.s32 	%p11, %r1, %r5;
	mul.wide.s32 	%rd34, %r3, %r9;
	add.s64 	%rd35, %rd34, %rd33;
	mul.lo.s64 	%rd36, %rd35, %rd2;
	add.s64 	%rd37, %rd51, %rd36;
	mul.lo.s64 	%rd38, %rd37, %rd6;
	cvta.to.global.u64 	%rd40, %rd16;
	mul.wide.s32 	%rd41, %r1, 8;
	add.s64 	%rd11, %rd40, %rd41;
	mul.lo.s64 	%rd42, %rd33, %rd6;
	add.s64 	%rd43, %rd42, %rd27;
	cvta.to.global.u64 	%rd44, %rd17;
	shl.b64 	%rd45, %rd43, 3;
	add.s64 	%rd12, %rd44, %rd45;
	cvta.to.global.u64 	%rd46, %rd18;
	add.s64 	%rd13, %rd46, %rd45;
	add.s64 	%rd47, %rd38, %rd27;
	cvta.to.global.u64 	%rd48, %rd19;
	shl.b64 	%rd49, %rd47, 3;
	add.s64 	%rd14, %rd48, %rd49;
	@%p11 bra 	$L__BB5_13;

	ld.global.v2.u32 	{%r59, %r60}, [%rd11];
	ld.global.v2.f32 	{%f61, %f62}, [%rd12];
	ld.global.v2.f32 	{%f65, %f66}, [%rd13];
	cvt.u16.u32 	%rs9, %r59;
	// begin inline asm
	cvt.f32.f16 %f53, %rs9;
	// end inline asm
	mul.f32 	%f69, %f21, %f116;
	mul.f32 	%f70, %f69, %f53;
	shr.u32 	%r63, %r59, 16;
	cvt.u16.u32 	%rs10, %r63;
	// begin inline asm
	cvt.f32.f16 %f54, %rs10;
	// end inline asm
	mul.f32 	%f71, %f21, %f115;
	mul.f32 	%f72, %f71, %f54;
	cvt.u16.u32 	%rs11, %r60;
	// begin inline asm
	cvt.f32.f16 %f55, %rs11;
	// end inline asm
	mul.f32 	%f73, %f21, %f114;
	mul.f32 	%f74, %f73, %f55;
	shr.u32 	%r64, %r60, 16;
	cvt.u16.u32 	%rs12, %r64;
	// begin inline asm
	cvt.f32.f16 %f56, %rs12;
	// end inline asm
	mul.f32 	%f75, %f21, %f113;
	mul.f32 	%f76, %f75, %f56;
	mul.f32 	%f77, %f61, %f70;
	mul.f32 	%f78, %f65, %f72;
	sub.f32 	%f57, %f77, %f78;
	mul.f32 	%f79, %f61, %f72;
	fma.rn.f32 	%f58, %f65, %f70, %f79;
	// begin inline asm
	cvt.rn.f16.f32 %rs13, %f57;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs14, %f58;
	// end inline asm
	mul.f32 	%f80, %f62, %f74;
	mul.f32 	%f81, %f66, %f76;
	sub.f32 	%f59, %f80, %f81;
	mul.f32 	%f82, %f62, %f76;
	fma.rn.f32 	%f60, %f66, %f74, %f82;
	// begin inline asm
	cvt.rn.f16.f32 %rs15, %f59;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs16, %f60;
	// end inline asm
	mov.b32 	%r65, {%rs15, %rs16};
	mov.b32 	%r66, {%rs13, %rs14};
	st.global.v2.u32 	[%rd14], {%r66, %r65};

$L__BB5_13:
	@%p4 bra 	$L__BB5_15;

	ld.global.v2.u32 	{%r67, %r68}, [%rd11+256];
	ld.global.v2.f32 	{%f91, %f92}, [%rd12+256];
	ld.global.v2.f32 	{%f95, %f96}, [%rd13+256];
	cvt.u16.u32 	%rs17, %r67;
	// begin inline asm
	cvt.f32.f16 %f83, %rs17;
	// end inline asm
	mul.f32 	%f99, %f21, %f121;
	mul.f32 	%f100, %f99, %f83;
	shr.u32 	%r71, %r67, 16;
	cvt.u16.u32 	%rs18, %r71;
	// begin inline asm
	cvt.f32.f16 %f84, %rs18;
	// end inline asm
	mul.f32 	%f101, %f21, %f120;
	mul.f32 	%f102, %f101, %f84;
	cvt.u16.u32 	%rs19, %r68;
	// begin inline asm
	cvt.f32.f16 %f85, %rs19;
	// end inline asm
	mul.f32 	%f103, %f21, %f119;
	mul.f32 	%f104, %f103, %f85;
	shr.u32 	%r72, %r68, 16;
	cvt.u16.u32 	%rs20, %r72;
	// begin inline asm
	cvt.f32.f16 %f86, %rs20;
	// end inline asm
	mul.f32 	%f105, %f21, %f118;
	mul.f32 	%f106, %f105, %f86;
	mul.f32 	%f107, %f91, %f100;
	mul.f32 	%f108, %f95, %f102;
	sub.f32 	%f87, %f107, %f108;
	mul.f32 	%f109, %f91, %f102;
	fma.rn.f32 	%f88, %f95, %f100, %f109;
	// begin inline asm
	cvt.rn.f16.f32 %rs21, %f87;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs22, %f88;
	// end inline asm
	mul.f32 	%f110, %f92, %f104;
	mul.f32 	%f111, %f96, %f106;
	sub.f32 	%f89, %f110, %f111;
	mul.f32 	%f112, %f92, %f106;
	fma.rn.f32 	%f90, %f96, %f104, %f112;
	// begin inline asm
	cvt.rn.f16.f32 %rs23, %f89;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs24, %f90;
	// end inline asm
	mov.b32 	%r73, {%rs23, %rs24};
	mov.b32 	%r74, {%rs21, %rs22};
	st.global.v2.u32 	[%rd14+256], {%r74, %r73};

$L__BB5_15:
	ret;

}
	// .globl	gated_product_float16
.visible .entry gated_product_float16(
	.param .u64 gated_product_float16_param_0,
	.param .u64 gated_product_float16_param_1,
	.param .u64 gated_product_float16_param_2,
	.param .u64 gated_product_float16_param_3,
	.param .u32 gated_product_float16_param_4,
	.param .u32 gated_product_float16_param_5
)
{
	.reg .pred 	%p<4>;
	.reg .b16 	%rs<25>;
	.reg .f32 	%f<57>;
	.reg .b32 	%r<55>;
	.reg .b64 	%rd<28>;


	ld.param.u64 	%rd9, [gated_product_float16_param_0];
	ld.param.u64 	%rd10, [gated_product_float16_param_1];
	ld.param.u64 	%rd11, [gated_product_float16_param_2];
	ld.param.u64 	%rd12, [gated_product_float16_param_3];
	ld.param.u32 	%r18, [gated_product_float16_param_4];
	ld.param.u32 	%r19, [gated_product_float16_param_5];
	mov.u32 	%r50, %tid.x;
	add.s32 	%r2, %r19, %r18;
	setp.ge.s32 	%p1, %r50, %r2;
	@%p1 bra 	$L__BB6_6;

	mov.u32 	%r20, %ctaid.x;
	cvt.u64.u32 	%rd13, %r20;
	cvt.s64.s32 	%rd14, %r18;
	mul.lo.s64 	%rd1, %rd14, %rd13;
	cvt.s64.s32 	%rd15, %r2;
	mul.lo.s64 	%rd2, %rd15, %rd13;
	mov.u32 	%r3, %ntid.x;
	cvt.s64.s32 	%rd16, %r19;
	mul.lo.s64 	%rd17, %rd16, %rd13;
	sub.s64 	%rd3, %rd17, %rd14;
	cvta.to.global.u64 	%rd4, %rd10;
	cvta.to.global.u64 	%rd5, %rd11;
	cvta.to.global.u64 	%rd6, %rd9;
	cvta.to.global.u64 	%rd7, %rd12;

$L__BB6_2:
	cvt.s64.s32 	%rd8, %r50;
	setp.lt.s32 	%p2, %r50, %r18;
	@%p2 bra 	$L__BB6_4;
	bra.uni 	$L__BB6_3;

$L__BB6_4:
	add.s64 	%rd22, %rd1, %rd8;
	shl.b64 	%rd23, %rd22, 4;
	add.s64 	%rd24, %rd6, %rd23;
	ld.global.v4.u32 	{%r51, %r52, %r53, %r54}, [%rd24];
	bra.uni 	$L__BB6_5;

$L__BB6_3:
	add.s64 	%rd18, %rd3, %rd8;
	shl.b64 	%rd19, %rd18, 4;
	add.s64 	%rd20, %rd4, %rd19;
	ld.global.v4.u32 	{%r21, %r22, %r23, %r24}, [%rd20];
	add.s64 	%rd21, %rd5, %rd19;
	ld.global.v4.u32 	{%r29, %r30, %r31, %r32}, [%rd21];
	cvt.u16.u32 	%rs1, %r21;
	// begin inline asm
	cvt.f32.f16 %f1, %rs1;
	// end inline asm
	shr.u32 	%r37, %r21, 16;
	cvt.u16.u32 	%rs2, %r37;
	// begin inline asm
	cvt.f32.f16 %f2, %rs2;
	// end inline asm
	mul.f32 	%f25, %f1, 0fBFB8AA3B;
	ex2.approx.f32 	%f26, %f25;
	add.f32 	%f27, %f26, 0f3F800000;
	div.approx.f32 	%f28, %f1, %f27;
	cvt.u16.u32 	%rs3, %r29;
	// begin inline asm
	cvt.f32.f16 %f3, %rs3;
	// end inline asm
	mul.f32 	%f5, %f28, %f3;
	mul.f32 	%f29, %f2, 0fBFB8AA3B;
	ex2.approx.f32 	%f30, %f29;
	add.f32 	%f31, %f30, 0f3F800000;
	div.approx.f32 	%f32, %f2, %f31;
	shr.u32 	%r38, %r29, 16;
	cvt.u16.u32 	%rs4, %r38;
	// begin inline asm
	cvt.f32.f16 %f4, %rs4;
	// end inline asm
	mul.f32 	%f6, %f32, %f4;
	// begin inline asm
	cvt.rn.f16.f32 %rs5, %f5;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs6, %f6;
	// end inline asm
	mov.b32 	%r51, {%rs5, %rs6};
	cvt.u16.u32 	%rs7, %r22;
	// begin inline asm
	cvt.f32.f16 %f7, %rs7;
	// end inline asm
	shr.u32 	%r39, %r22, 16;
	cvt.u16.u32 	%rs8, %r39;
	// begin inline asm
	cvt.f32.f16 %f8, %rs8;
	// end inline asm
	mul.f32 	%f33, %f7, 0fBFB8AA3B;
	ex2.approx.f32 	%f34, %f33;
	add.f32 	%f35, %f34, 0f3F800000;
	div.approx.f32 	%f36, %f7, %f35;
	cvt.u16.u32 	%rs9, %r30;
	// begin inline asm
	cvt.f32.f16 %f9, %rs9;
	// end inline asm
	mul.f32 	%f11, %f36, %f9;
	mul.f32 	%f37, %f8, 0fBFB8AA3B;
	ex2.approx.f32 	%f38, %f37;
	add.f32 	%f39, %f38, 0f3F800000;
	div.approx.f32 	%f40, %f8, %f39;
	shr.u32 	%r40, %r30, 16;
	cvt.u16.u32 	%rs10, %r40;
	// begin inline asm
	cvt.f32.f16 %f10, %rs10;
	// end inline asm
	mul.f32 	%f12, %f40, %f10;
	// begin inline asm
	cvt.rn.f16.f32 %rs11, %f11;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs12, %f12;
	// end inline asm
	mov.b32 	%r52, {%rs11, %rs12};
	cvt.u16.u32 	%rs13, %r23;
	// begin inline asm
	cvt.f32.f16 %f13, %rs13;
	// end inline asm
	shr.u32 	%r41, %r23, 16;
	cvt.u16.u32 	%rs14, %r41;
	// begin inline asm
	cvt.f32.f16 %f14, %rs14;
	// end inline asm
	mul.f32 	%f41, %f13, 0fBFB8AA3B;
	ex2.approx.f32 	%f42, %f41;
	add.f32 	%f43, %f42, 0f3F800000;
	div.approx.f32 	%f44, %f13, %f43;
	cvt.u16.u32 	%rs15, %r31;
	// begin inline asm
	cvt.f32.f16 %f15, %rs15;
	// end inline asm
	mul.f32 	%f17, %f44, %f15;
	mul.f32 	%f45, %f14, 0fBFB8AA3B;
	ex2.approx.f32 	%f46, %f45;
	add.f32 	%f47, %f46, 0f3F800000;
	div.approx.f32 	%f48, %f14, %f47;
	shr.u32 	%r42, %r31, 16;
	cvt.u16.u32 	%rs16, %r42;
	// begin inline asm
	cvt.f32.f16 %f16, %rs16;
	// end inline asm
	mul.f32 	%f18, %f48, %f16;
	// begin inline asm
	cvt.rn.f16.f32 %rs17, %f17;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs18, %f18;
	// end inline asm
	mov.b32 	%r53, {%rs17, %rs18};
	cvt.u16.u32 	%rs19, %r24;
	// begin inline asm
	cvt.f32.f16 %f19, %rs19;
	// end inline asm
	shr.u32 	%r43, %r24, 16;
	cvt.u16.u32 	%rs20, %r43;
	// begin inline asm
	cvt.f32.f16 %f20, %rs20;
	// end inline asm
	mul.f32 	%f49, %f19, 0fBFB8AA3B;
	ex2.approx.f32 	%f50, %f49;
	add.f32 	%f51, %f50, 0f3F800000;
	div.approx.f32 	%f52, %f19, %f51;
	cvt.u16.u32 	%rs21, %r32;
	// begin inline asm
	cvt.f32.f16 %f21, %rs21;
	// end inline asm
	mul.f32 	%f23, %f52, %f21;
	mul.f32 	%f53, %f20, 0fBFB8AA3B;
	ex2.approx.f32 	%f54, %f53;
	add.f32 	%f55, %f54, 0f3F800000;
	div.approx.f32 	%f56, %f20, %f55;
	shr.u32 	%r44, %r32, 16;
	cvt.u16.u32 	%rs22, %r44;
	// begin inline asm
	cvt.f32.f16 %f22, %rs22;
	// end inline asm
	mul.f32 	%f24, %f56, %f22;
	// begin inline asm
	cvt.rn.f16.f32 %rs23, %f23;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs24, %f24;
	// end inline asm
	mov.b32 	%r54, {%rs23, %rs24};

$L__BB6_5:
	add.s64 	%rd25, %rd2, %rd8;
	shl.b64 	%rd26, %rd25, 4;
	add.s64 	%rd27, %rd7, %rd26;
	st.global.v4.u32 	[%rd27], {%r51, %r52, %r53, %r54};
	cvt.u32.u64 	%r49, %rd8;
	add.s32 	%r50, %r49, %r3;
	setp.lt.s32 	%p3, %r50, %r2;
	@%p3 bra 	$L__BB6_2;

$L__BB6_6:
	ret;

}
	// .globl	gated_sum_norm_float16
.visible .entry gated_sum_norm_float16(
	.param .u64 gated_sum_norm_float16_param_0,
	.param .u64 gated_sum_norm_float16_param_1,
	.param .u64 gated_sum_norm_float16_param_2,
	.param .u64 gated_sum_norm_float16_param_3,
	.param .u64 gated_sum_norm_float16_param_4,
	.param .u64 gated_sum_norm_float16_param_5,
	.param .u64 gated_sum_norm_float16_param_6,
	.param .u32 gated_sum_norm_float16_param_7,
	.param .f32 gated_sum_norm_float16_param_8
)
{
	.reg .pred 	%p<25>;
	.reg .b16 	%rs<225>;
	.reg .f32 	%f<563>;
	.reg .b32 	%r<326>;
	.reg .b64 	%rd<39>;
	// demoted variable
	.shared .align 4 .b8 _ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room[32];

	ld.param.u64 	%rd13, [gated_sum_norm_float16_param_0];
	ld.param.u64 	%rd14, [gated_sum_norm_float16_param_1];
	ld.param.u64 	%rd15, [gated_sum_norm_float16_param_2];
	ld.param.u64 	%rd16, [gated_sum_norm_float16_param_5];
	ld.param.u32 	%r7, [gated_sum_norm_float16_param_7];
	cvta.to.global.u64 	%rd17, %rd16;
	mov.u32 	%r8, %ctaid.x;
	cvt.u64.u32 	%rd18, %r8;
	cvt.s64.s32 	%rd19, %r7;
	mul.lo.s64 	%rd1, %rd19, %rd18;
	mov.u32 	%r1, %tid.x;
	setp.ge.s32 	%p2, %r1, %r7;
	cvt.s64.s32 	%rd20, %r1;
	add.s64 	%rd21, %rd1, %rd20;
	cvta.to.global.u64 	%rd22, %rd13;
	shl.b64 	%rd23, %rd21, 4;
	add.s64 	%rd2, %rd22, %rd23;
	cvta.to.global.u64 	%rd24, %rd14;
	add.s64 	%rd3, %rd24, %rd23;
	cvta.to.global.u64 	%rd25, %rd15;
	mul.wide.s32 	%rd26, %r1, 16;
	add.s64 	%rd4, %rd25, %rd26;
	add.s64 	%rd5, %rd17, %rd23;
	mov.f32 	%f540, 0f00000000;
	@%p2 bra 	$L__BB7_2;

	ld.global.v4.u32 	{%r9, %r10, %r11, %r12}, [%rd2];
	ld.global.v4.u32 	{%r17, %r18, %r19, %r20}, [%rd3];
	ld.global.v4.u32 	{%r25, %r26, %r27, %r28}, [%rd4];
	cvt.u16.u32 	%rs1, %r9;
	// begin inline asm
	cvt.f32.f16 %f89, %rs1;
	// end inline asm
	cvt.u16.u32 	%rs2, %r25;
	// begin inline asm
	cvt.f32.f16 %f90, %rs2;
	// end inline asm
	cvt.u16.u32 	%rs3, %r17;
	// begin inline asm
	cvt.f32.f16 %f91, %rs3;
	// end inline asm
	fma.rn.f32 	%f530, %f90, %f91, %f89;
	shr.u32 	%r33, %r9, 16;
	cvt.u16.u32 	%rs4, %r33;
	// begin inline asm
	cvt.f32.f16 %f92, %rs4;
	// end inline asm
	shr.u32 	%r34, %r25, 16;
	cvt.u16.u32 	%rs5, %r34;
	// begin inline asm
	cvt.f32.f16 %f93, %rs5;
	// end inline asm
	shr.u32 	%r35, %r17, 16;
	cvt.u16.u32 	%rs6, %r35;
	// begin inline asm
	cvt.f32.f16 %f94, %rs6;
	// end inline asm
	fma.rn.f32 	%f529, %f93, %f94, %f92;
	add.f32 	%f121, %f530, %f529;
	add.f32 	%f122, %f121, 0f00000000;
	// begin inline asm
	cvt.rn.f16.f32 %rs7, %f530;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs8, %f529;
	// end inline asm
	cvt.u16.u32 	%rs9, %r10;
	// begin inline asm
	cvt.f32.f16 %f97, %rs9;
	// end inline asm
	cvt.u16.u32 	%rs10, %r26;
	// begin inline asm
	cvt.f32.f16 %f98, %rs10;
	// end inline asm
	cvt.u16.u32 	%rs11, %r18;
	// begin inline asm
	cvt.f32.f16 %f99, %rs11;
	// end inline asm
	fma.rn.f32 	%f528, %f98, %f99, %f97;
	shr.u32 	%r36, %r10, 16;
	cvt.u16.u32 	%rs12, %r36;
	// begin inline asm
	cvt.f32.f16 %f100, %rs12;
	// end inline asm
	shr.u32 	%r37, %r26, 16;
	cvt.u16.u32 	%rs13, %r37;
	// begin inline asm
	cvt.f32.f16 %f101, %rs13;
	// end inline asm
	shr.u32 	%r38, %r18, 16;
	cvt.u16.u32 	%rs14, %r38;
	// begin inline asm
	cvt.f32.f16 %f102, %rs14;
	// end inline asm
	fma.rn.f32 	%f527, %f101, %f102, %f100;
	add.f32 	%f123, %f528, %f527;
	add.f32 	%f124, %f122, %f123;
	// begin inline asm
	cvt.rn.f16.f32 %rs15, %f528;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs16, %f527;
	// end inline asm
	cvt.u16.u32 	%rs17, %r11;
	// begin inline asm
	cvt.f32.f16 %f105, %rs17;
	// end inline asm
	cvt.u16.u32 	%rs18, %r27;
	// begin inline asm
	cvt.f32.f16 %f106, %rs18;
	// end inline asm
	cvt.u16.u32 	%rs19, %r19;
	// begin inline asm
	cvt.f32.f16 %f107, %rs19;
	// end inline asm
	fma.rn.f32 	%f526, %f106, %f107, %f105;
	shr.u32 	%r39, %r11, 16;
	cvt.u16.u32 	%rs20, %r39;
	// begin inline asm
	cvt.f32.f16 %f108, %rs20;
	// end inline asm
	shr.u32 	%r40, %r27, 16;
	cvt.u16.u32 	%rs21, %r40;
	// begin inline asm
	cvt.f32.f16 %f109, %rs21;
	// end inline asm
	shr.u32 	%r41, %r19, 16;
	cvt.u16.u32 	%rs22, %r41;
	// begin inline asm
	cvt.f32.f16 %f110, %rs22;
	// end inline asm
	fma.rn.f32 	%f525, %f109, %f110, %f108;
	add.f32 	%f125, %f526, %f525;
	add.f32 	%f126, %f124, %f125;
	// begin inline asm
	cvt.rn.f16.f32 %rs23, %f526;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs24, %f525;
	// end inline asm
	cvt.u16.u32 	%rs25, %r12;
	// begin inline asm
	cvt.f32.f16 %f113, %rs25;
	// end inline asm
	cvt.u16.u32 	%rs26, %r28;
	// begin inline asm
	cvt.f32.f16 %f114, %rs26;
	// end inline asm
	cvt.u16.u32 	%rs27, %r20;
	// begin inline asm
	cvt.f32.f16 %f115, %rs27;
	// end inline asm
	fma.rn.f32 	%f524, %f114, %f115, %f113;
	shr.u32 	%r42, %r12, 16;
	cvt.u16.u32 	%rs28, %r42;
	// begin inline asm
	cvt.f32.f16 %f116, %rs28;
	// end inline asm
	shr.u32 	%r43, %r28, 16;
	cvt.u16.u32 	%rs29, %r43;
	// begin inline asm
	cvt.f32.f16 %f117, %rs29;
	// end inline asm
	shr.u32 	%r44, %r20, 16;
	cvt.u16.u32 	%rs30, %r44;
	// begin inline asm
	cvt.f32.f16 %f118, %rs30;
	// end inline asm
	fma.rn.f32 	%f523, %f117, %f118, %f116;
	add.f32 	%f127, %f524, %f523;
	add.f32 	%f540, %f126, %f127;
	// begin inline asm
	cvt.rn.f16.f32 %rs31, %f524;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs32, %f523;
	// end inline asm
	mov.b32 	%r45, {%rs31, %rs32};
	mov.b32 	%r46, {%rs23, %rs24};
	mov.b32 	%r47, {%rs15, %rs16};
	mov.b32 	%r48, {%rs7, %rs8};
	st.global.v4.u32 	[%rd5], {%r48, %r47, %r46, %r45};

$L__BB7_2:
	add.s32 	%r2, %r1, 256;
	setp.ge.s32 	%p3, %r2, %r7;
	@%p3 bra 	$L__BB7_4;

	ld.global.v4.u32 	{%r49, %r50, %r51, %r52}, [%rd2+4096];
	ld.global.v4.u32 	{%r57, %r58, %r59, %r60}, [%rd3+4096];
	ld.global.v4.u32 	{%r65, %r66, %r67, %r68}, [%rd4+4096];
	cvt.u16.u32 	%rs33, %r49;
	// begin inline asm
	cvt.f32.f16 %f129, %rs33;
	// end inline asm
	cvt.u16.u32 	%rs34, %r65;
	// begin inline asm
	cvt.f32.f16 %f130, %rs34;
	// end inline asm
	cvt.u16.u32 	%rs35, %r57;
	// begin inline asm
	cvt.f32.f16 %f131, %rs35;
	// end inline asm
	fma.rn.f32 	%f539, %f130, %f131, %f129;
	shr.u32 	%r73, %r49, 16;
	cvt.u16.u32 	%rs36, %r73;
	// begin inline asm
	cvt.f32.f16 %f132, %rs36;
	// end inline asm
	shr.u32 	%r74, %r65, 16;
	cvt.u16.u32 	%rs37, %r74;
	// begin inline asm
	cvt.f32.f16 %f133, %rs37;
	// end inline asm
	shr.u32 	%r75, %r57, 16;
	cvt.u16.u32 	%rs38, %r75;
	// begin inline asm
	cvt.f32.f16 %f134, %rs38;
	// end inline asm
	fma.rn.f32 	%f538, %f133, %f134, %f132;
	add.f32 	%f161, %f539, %f538;
	add.f32 	%f162, %f540, %f161;
	// begin inline asm
	cvt.rn.f16.f32 %rs39, %f539;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs40, %f538;
	// end inline asm
	cvt.u16.u32 	%rs41, %r50;
	// begin inline asm
	cvt.f32.f16 %f137, %rs41;
	// end inline asm
	cvt.u16.u32 	%rs42, %r66;
	// begin inline asm
	cvt.f32.f16 %f138, %rs42;
	// end inline asm
	cvt.u16.u32 	%rs43, %r58;
	// begin inline asm
	cvt.f32.f16 %f139, %rs43;
	// end inline asm
	fma.rn.f32 	%f537, %f138, %f139, %f137;
	shr.u32 	%r76, %r50, 16;
	cvt.u16.u32 	%rs44, %r76;
	// begin inline asm
	cvt.f32.f16 %f140, %rs44;
	// end inline asm
	shr.u32 	%r77, %r66, 16;
	cvt.u16.u32 	%rs45, %r77;
	// begin inline asm
	cvt.f32.f16 %f141, %rs45;
	// end inline asm
	shr.u32 	%r78, %r58, 16;
	cvt.u16.u32 	%rs46, %r78;
	// begin inline asm
	cvt.f32.f16 %f142, %rs46;
	// end inline asm
	fma.rn.f32 	%f536, %f141, %f142, %f140;
	add.f32 	%f163, %f537, %f536;
	add.f32 	%f164, %f162, %f163;
	// begin inline asm
	cvt.rn.f16.f32 %rs47, %f537;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs48, %f536;
	// end inline asm
	cvt.u16.u32 	%rs49, %r51;
	// begin inline asm
	cvt.f32.f16 %f145, %rs49;
	// end inline asm
	cvt.u16.u32 	%rs50, %r67;
	// begin inline asm
	cvt.f32.f16 %f146, %rs50;
	// end inline asm
	cvt.u16.u32 	%rs51, %r59;
	// begin inline asm
	cvt.f32.f16 %f147, %rs51;
	// end inline asm
	fma.rn.f32 	%f535, %f146, %f147, %f145;
	shr.u32 	%r79, %r51, 16;
	cvt.u16.u32 	%rs52, %r79;
	// begin inline asm
	cvt.f32.f16 %f148, %rs52;
	// end inline asm
	shr.u32 	%r80, %r67, 16;
	cvt.u16.u32 	%rs53, %r80;
	// begin inline asm
	cvt.f32.f16 %f149, %rs53;
	// end inline asm
	shr.u32 	%r81, %r59, 16;
	cvt.u16.u32 	%rs54, %r81;
	// begin inline asm
	cvt.f32.f16 %f150, %rs54;
	// end inline asm
	fma.rn.f32 	%f534, %f149, %f150, %f148;
	add.f32 	%f165, %f535, %f534;
	add.f32 	%f166, %f164, %f165;
	// begin inline asm
	cvt.rn.f16.f32 %rs55, %f535;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs56, %f534;
	// end inline asm
	cvt.u16.u32 	%rs57, %r52;
	// begin inline asm
	cvt.f32.f16 %f153, %rs57;
	// end inline asm
	cvt.u16.u32 	%rs58, %r68;
	// begin inline asm
	cvt.f32.f16 %f154, %rs58;
	// end inline asm
	cvt.u16.u32 	%rs59, %r60;
	// begin inline asm
	cvt.f32.f16 %f155, %rs59;
	// end inline asm
	fma.rn.f32 	%f533, %f154, %f155, %f153;
	shr.u32 	%r82, %r52, 16;
	cvt.u16.u32 	%rs60, %r82;
	// begin inline asm
	cvt.f32.f16 %f156, %rs60;
	// end inline asm
	shr.u32 	%r83, %r68, 16;
	cvt.u16.u32 	%rs61, %r83;
	// begin inline asm
	cvt.f32.f16 %f157, %rs61;
	// end inline asm
	shr.u32 	%r84, %r60, 16;
	cvt.u16.u32 	%rs62, %r84;
	// begin inline asm
	cvt.f32.f16 %f158, %rs62;
	// end inline asm
	fma.rn.f32 	%f532, %f157, %f158, %f156;
	add.f32 	%f167, %f533, %f532;
	add.f32 	%f540, %f166, %f167;
	// begin inline asm
	cvt.rn.f16.f32 %rs63, %f533;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs64, %f532;
	// end inline asm
	mov.b32 	%r85, {%rs63, %rs64};
	mov.b32 	%r86, {%rs55, %rs56};
	mov.b32 	%r87, {%rs47, %rs48};
	mov.b32 	%r88, {%rs39, %rs40};
	st.global.v4.u32 	[%rd5+4096], {%r88, %r87, %r86, %r85};

$L__BB7_4:
	add.s32 	%r3, %r1, 512;
	setp.ge.s32 	%p4, %r3, %r7;
	@%p4 bra 	$L__BB7_6;

	ld.global.v4.u32 	{%r89, %r90, %r91, %r92}, [%rd2+8192];
	ld.global.v4.u32 	{%r97, %r98, %r99, %r100}, [%rd3+8192];
	ld.global.v4.u32 	{%r105, %r106, %r107, %r108}, [%rd4+8192];
	cvt.u16.u32 	%rs65, %r89;
	// begin inline asm
	cvt.f32.f16 %f169, %rs65;
	// end inline asm
	cvt.u16.u32 	%rs66, %r105;
	// begin inline asm
	cvt.f32.f16 %f170, %rs66;
	// end inline asm
	cvt.u16.u32 	%rs67, %r97;
	// begin inline asm
	cvt.f32.f16 %f171, %rs67;
	// end inline asm
	fma.rn.f32 	%f548, %f170, %f171, %f169;
	shr.u32 	%r113, %r89, 16;
	cvt.u16.u32 	%rs68, %r113;
	// begin inline asm
	cvt.f32.f16 %f172, %rs68;
	// end inline asm
	shr.u32 	%r114, %r105, 16;
	cvt.u16.u32 	%rs69, %r114;
	// begin inline asm
	cvt.f32.f16 %f173, %rs69;
	// end inline asm
	shr.u32 	%r115, %r97, 16;
	cvt.u16.u32 	%rs70, %r115;
	// begin inline asm
	cvt.f32.f16 %f174, %rs70;
	// end inline asm
	fma.rn.f32 	%f547, %f173, %f174, %f172;
	add.f32 	%f201, %f548, %f547;
	add.f32 	%f202, %f540, %f201;
	// begin inline asm
	cvt.rn.f16.f32 %rs71, %f548;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs72, %f547;
	// end inline asm
	cvt.u16.u32 	%rs73, %r90;
	// begin inline asm
	cvt.f32.f16 %f177, %rs73;
	// end inline asm
	cvt.u16.u32 	%rs74, %r106;
	// begin inline asm
	cvt.f32.f16 %f178, %rs74;
	// end inline asm
	cvt.u16.u32 	%rs75, %r98;
	// begin inline asm
	cvt.f32.f16 %f179, %rs75;
	// end inline asm
	fma.rn.f32 	%f546, %f178, %f179, %f177;
	shr.u32 	%r116, %r90, 16;
	cvt.u16.u32 	%rs76, %r116;
	// begin inline asm
	cvt.f32.f16 %f180, %rs76;
	// end inline asm
	shr.u32 	%r117, %r106, 16;
	cvt.u16.u32 	%rs77, %r117;
	// begin inline asm
	cvt.f32.f16 %f181, %rs77;
	// end inline asm
	shr.u32 	%r118, %r98, 16;
	cvt.u16.u32 	%rs78, %r118;
	// begin inline asm
	cvt.f32.f16 %f182, %rs78;
	// end inline asm
	fma.rn.f32 	%f545, %f181, %f182, %f180;
	add.f32 	%f203, %f546, %f545;
	add.f32 	%f204, %f202, %f203;
	// begin inline asm
	cvt.rn.f16.f32 %rs79, %f546;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs80, %f545;
	// end inline asm
	cvt.u16.u32 	%rs81, %r91;
	// begin inline asm
	cvt.f32.f16 %f185, %rs81;
	// end inline asm
	cvt.u16.u32 	%rs82, %r107;
	// begin inline asm
	cvt.f32.f16 %f186, %rs82;
	// end inline asm
	cvt.u16.u32 	%rs83, %r99;
	// begin inline asm
	cvt.f32.f16 %f187, %rs83;
	// end inline asm
	fma.rn.f32 	%f544, %f186, %f187, %f185;
	shr.u32 	%r119, %r91, 16;
	cvt.u16.u32 	%rs84, %r119;
	// begin inline asm
	cvt.f32.f16 %f188, %rs84;
	// end inline asm
	shr.u32 	%r120, %r107, 16;
	cvt.u16.u32 	%rs85, %r120;
	// begin inline asm
	cvt.f32.f16 %f189, %rs85;
	// end inline asm
	shr.u32 	%r121, %r99, 16;
	cvt.u16.u32 	%rs86, %r121;
	// begin inline asm
	cvt.f32.f16 %f190, %rs86;
	// end inline asm
	fma.rn.f32 	%f543, %f189, %f190, %f188;
	add.f32 	%f205, %f544, %f543;
	add.f32 	%f206, %f204, %f205;
	// begin inline asm
	cvt.rn.f16.f32 %rs87, %f544;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs88, %f543;
	// end inline asm
	cvt.u16.u32 	%rs89, %r92;
	// begin inline asm
	cvt.f32.f16 %f193, %rs89;
	// end inline asm
	cvt.u16.u32 	%rs90, %r108;
	// begin inline asm
	cvt.f32.f16 %f194, %rs90;
	// end inline asm
	cvt.u16.u32 	%rs91, %r100;
	// begin inline asm
	cvt.f32.f16 %f195, %rs91;
	// end inline asm
	fma.rn.f32 	%f542, %f194, %f195, %f193;
	shr.u32 	%r122, %r92, 16;
	cvt.u16.u32 	%rs92, %r122;
	// begin inline asm
	cvt.f32.f16 %f196, %rs92;
	// end inline asm
	shr.u32 	%r123, %r108, 16;
	cvt.u16.u32 	%rs93, %r123;
	// begin inline asm
	cvt.f32.f16 %f197, %rs93;
	// end inline asm
	shr.u32 	%r124, %r100, 16;
	cvt.u16.u32 	%rs94, %r124;
	// begin inline asm
	cvt.f32.f16 %f198, %rs94;
	// end inline asm
	fma.rn.f32 	%f541, %f197, %f198, %f196;
	add.f32 	%f207, %f542, %f541;
	add.f32 	%f540, %f206, %f207;
	// begin inline asm
	cvt.rn.f16.f32 %rs95, %f542;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs96, %f541;
	// end inline asm
	mov.b32 	%r125, {%rs95, %rs96};
	mov.b32 	%r126, {%rs87, %rs88};
	mov.b32 	%r127, {%rs79, %rs80};
	mov.b32 	%r128, {%rs71, %rs72};
	st.global.v4.u32 	[%rd5+8192], {%r128, %r127, %r126, %r125};

$L__BB7_6:
	add.s32 	%r4, %r1, 768;
	setp.ge.s32 	%p5, %r4, %r7;
	@%p5 bra 	$L__BB7_8;

	ld.global.v4.u32 	{%r129, %r130, %r131, %r132}, [%rd2+12288];
	ld.global.v4.u32 	{%r137, %r138, %r139, %r140}, [%rd3+12288];
	ld.global.v4.u32 	{%r145, %r146, %r147, %r148}, [%rd4+12288];
	cvt.u16.u32 	%rs97, %r129;
	// begin inline asm
	cvt.f32.f16 %f209, %rs97;
	// end inline asm
	cvt.u16.u32 	%rs98, %r145;
	// begin inline asm
	cvt.f32.f16 %f210, %rs98;
	// end inline asm
	cvt.u16.u32 	%rs99, %r137;
	// begin inline asm
	cvt.f32.f16 %f211, %rs99;
	// end inline asm
	fma.rn.f32 	%f557, %f210, %f211, %f209;
	shr.u32 	%r153, %r129, 16;
	cvt.u16.u32 	%rs100, %r153;
	// begin inline asm
	cvt.f32.f16 %f212, %rs100;
	// end inline asm
	shr.u32 	%r154, %r145, 16;
	cvt.u16.u32 	%rs101, %r154;
	// begin inline asm
	cvt.f32.f16 %f213, %rs101;
	// end inline asm
	shr.u32 	%r155, %r137, 16;
	cvt.u16.u32 	%rs102, %r155;
	// begin inline asm
	cvt.f32.f16 %f214, %rs102;
	// end inline asm
	fma.rn.f32 	%f556, %f213, %f214, %f212;
	add.f32 	%f241, %f557, %f556;
	add.f32 	%f242, %f540, %f241;
	// begin inline asm
	cvt.rn.f16.f32 %rs103, %f557;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs104, %f556;
	// end inline asm
	cvt.u16.u32 	%rs105, %r130;
	// begin inline asm
	cvt.f32.f16 %f217, %rs105;
	// end inline asm
	cvt.u16.u32 	%rs106, %r146;
	// begin inline asm
	cvt.f32.f16 %f218, %rs106;
	// end inline asm
	cvt.u16.u32 	%rs107, %r138;
	// begin inline asm
	cvt.f32.f16 %f219, %rs107;
	// end inline asm
	fma.rn.f32 	%f555, %f218, %f219, %f217;
	shr.u32 	%r156, %r130, 16;
	cvt.u16.u32 	%rs108, %r156;
	// begin inline asm
	cvt.f32.f16 %f220, %rs108;
	// end inline asm
	shr.u32 	%r157, %r146, 16;
	cvt.u16.u32 	%rs109, %r157;
	// begin inline asm
	cvt.f32.f16 %f221, %rs109;
	// end inline asm
	shr.u32 	%r158, %r138, 16;
	cvt.u16.u32 	%rs110, %r158;
	// begin inline asm
	cvt.f32.f16 %f222, %rs110;
	// end inline asm
	fma.rn.f32 	%f554, %f221, %f222, %f220;
	add.f32 	%f243, %f555, %f554;
	add.f32 	%f244, %f242, %f243;
	// begin inline asm
	cvt.rn.f16.f32 %rs111, %f555;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs112, %f554;
	// end inline asm
	cvt.u16.u32 	%rs113, %r131;
	// begin inline asm
	cvt.f32.f16 %f225, %rs113;
	// end inline asm
	cvt.u16.u32 	%rs114, %r147;
	// begin inline asm
	cvt.f32.f16 %f226, %rs114;
	// end inline asm
	cvt.u16.u32 	%rs115, %r139;
	// begin inline asm
	cvt.f32.f16 %f227, %rs115;
	// end inline asm
	fma.rn.f32 	%f553, %f226, %f227, %f225;
	shr.u32 	%r159, %r131, 16;
	cvt.u16.u32 	%rs116, %r159;
	// begin inline asm
	cvt.f32.f16 %f228, %rs116;
	// end inline asm
	shr.u32 	%r160, %r147, 16;
	cvt.u16.u32 	%rs117, %r160;
	// begin inline asm
	cvt.f32.f16 %f229, %rs117;
	// end inline asm
	shr.u32 	%r161, %r139, 16;
	cvt.u16.u32 	%rs118, %r161;
	// begin inline asm
	cvt.f32.f16 %f230, %rs118;
	// end inline asm
	fma.rn.f32 	%f552, %f229, %f230, %f228;
	add.f32 	%f245, %f553, %f552;
	add.f32 	%f246, %f244, %f245;
	// begin inline asm
	cvt.rn.f16.f32 %rs119, %f553;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs120, %f552;
	// end inline asm
	cvt.u16.u32 	%rs121, %r132;
	// begin inline asm
	cvt.f32.f16 %f233, %rs121;
	// end inline asm
	cvt.u16.u32 	%rs122, %r148;
	// begin inline asm
	cvt.f32.f16 %f234, %rs122;
	// end inline asm
	cvt.u16.u32 	%rs123, %r140;
	// begin inline asm
	cvt.f32.f16 %f235, %rs123;
	// end inline asm
	fma.rn.f32 	%f551, %f234, %f235, %f233;
	shr.u32 	%r162, %r132, 16;
	cvt.u16.u32 	%rs124, %r162;
	// begin inline asm
	cvt.f32.f16 %f236, %rs124;
	// end inline asm
	shr.u32 	%r163, %r148, 16;
	cvt.u16.u32 	%rs125, %r163;
	// begin inline asm
	cvt.f32.f16 %f237, %rs125;
	// end inline asm
	shr.u32 	%r164, %r140, 16;
	cvt.u16.u32 	%rs126, %r164;
	// begin inline asm
	cvt.f32.f16 %f238, %rs126;
	// end inline asm
	fma.rn.f32 	%f550, %f237, %f238, %f236;
	add.f32 	%f247, %f551, %f550;
	add.f32 	%f540, %f246, %f247;
	// begin inline asm
	cvt.rn.f16.f32 %rs127, %f551;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs128, %f550;
	// end inline asm
	mov.b32 	%r165, {%rs127, %rs128};
	mov.b32 	%r166, {%rs119, %rs120};
	mov.b32 	%r167, {%rs111, %rs112};
	mov.b32 	%r168, {%rs103, %rs104};
	st.global.v4.u32 	[%rd5+12288], {%r168, %r167, %r166, %r165};

$L__BB7_8:
	mov.b32 	%r169, %f540;
	mov.u32 	%r170, 31;
	mov.u32 	%r171, 16;
	mov.u32 	%r172, -1;
	shfl.sync.bfly.b32 	%r173|%p6, %r169, %r171, %r170, %r172;
	mov.b32 	%f248, %r173;
	add.f32 	%f249, %f540, %f248;
	mov.b32 	%r174, %f249;
	mov.u32 	%r175, 8;
	shfl.sync.bfly.b32 	%r176|%p7, %r174, %r175, %r170, %r172;
	mov.b32 	%f250, %r176;
	add.f32 	%f251, %f249, %f250;
	mov.b32 	%r177, %f251;
	mov.u32 	%r178, 4;
	shfl.sync.bfly.b32 	%r179|%p8, %r177, %r178, %r170, %r172;
	mov.b32 	%f252, %r179;
	add.f32 	%f253, %f251, %f252;
	mov.b32 	%r180, %f253;
	mov.u32 	%r181, 2;
	shfl.sync.bfly.b32 	%r182|%p9, %r180, %r181, %r170, %r172;
	mov.b32 	%f254, %r182;
	add.f32 	%f73, %f253, %f254;
	mov.b32 	%r183, %f73;
	mov.u32 	%r184, 1;
	shfl.sync.bfly.b32 	%r5|%p1, %r183, %r184, %r170, %r172;
	cvt.rn.f32.s32 	%f255, %r7;
	mul.f32 	%f74, %f255, 0f41000000;
	bar.sync 	0;
	and.b32  	%r6, %r1, 31;
	setp.ne.s32 	%p10, %r6, 0;
	shr.u32 	%r185, %r1, 5;
	mul.wide.u32 	%rd27, %r185, 4;
	mov.u64 	%rd28, _ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room;
	add.s64 	%rd6, %rd28, %rd27;
	@%p10 bra 	$L__BB7_10;

	mov.b32 	%f256, %r5;
	add.f32 	%f257, %f73, %f256;
	st.shared.f32 	[%rd6], %f257;

$L__BB7_10:
	ld.param.u32 	%r316, [gated_sum_norm_float16_param_7];
	mov.u32 	%r315, %tid.x;
	bar.sync 	0;
	ld.shared.f32 	%f259, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room];
	add.f32 	%f260, %f259, 0f00000000;
	mov.f32 	%f560, 0f00000000;
	ld.shared.f32 	%f261, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+4];
	add.f32 	%f262, %f260, %f261;
	ld.shared.f32 	%f263, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+8];
	add.f32 	%f264, %f262, %f263;
	ld.shared.f32 	%f265, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+12];
	add.f32 	%f266, %f264, %f265;
	ld.shared.f32 	%f267, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+16];
	add.f32 	%f268, %f266, %f267;
	ld.shared.f32 	%f269, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+20];
	add.f32 	%f270, %f268, %f269;
	ld.shared.f32 	%f271, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+24];
	add.f32 	%f272, %f270, %f271;
	ld.shared.f32 	%f273, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+28];
	add.f32 	%f274, %f272, %f273;
	div.rn.f32 	%f75, %f274, %f74;
	setp.ge.u32 	%p11, %r315, %r316;
	@%p11 bra 	$L__BB7_12;

	sub.f32 	%f275, %f530, %f75;
	fma.rn.f32 	%f276, %f275, %f275, 0f00000000;
	sub.f32 	%f277, %f529, %f75;
	fma.rn.f32 	%f278, %f277, %f277, %f276;
	sub.f32 	%f279, %f528, %f75;
	fma.rn.f32 	%f280, %f279, %f279, %f278;
	sub.f32 	%f281, %f527, %f75;
	fma.rn.f32 	%f282, %f281, %f281, %f280;
	sub.f32 	%f283, %f526, %f75;
	fma.rn.f32 	%f284, %f283, %f283, %f282;
	sub.f32 	%f285, %f525, %f75;
	fma.rn.f32 	%f286, %f285, %f285, %f284;
	sub.f32 	%f287, %f524, %f75;
	fma.rn.f32 	%f288, %f287, %f287, %f286;
	sub.f32 	%f289, %f523, %f75;
	fma.rn.f32 	%f560, %f289, %f289, %f288;

$L__BB7_12:
	mov.u32 	%r319, %tid.x;
	add.s32 	%r318, %r319, 256;
	ld.param.u32 	%r317, [gated_sum_norm_float16_param_7];
	setp.ge.u32 	%p12, %r318, %r317;
	@%p12 bra 	$L__BB7_14;

	sub.f32 	%f290, %f539, %f75;
	fma.rn.f32 	%f291, %f290, %f290, %f560;
	sub.f32 	%f292, %f538, %f75;
	fma.rn.f32 	%f293, %f292, %f292, %f291;
	sub.f32 	%f294, %f537, %f75;
	fma.rn.f32 	%f295, %f294, %f294, %f293;
	sub.f32 	%f296, %f536, %f75;
	fma.rn.f32 	%f297, %f296, %f296, %f295;
	sub.f32 	%f298, %f535, %f75;
	fma.rn.f32 	%f299, %f298, %f298, %f297;
	sub.f32 	%f300, %f534, %f75;
	fma.rn.f32 	%f301, %f300, %f300, %f299;
	sub.f32 	%f302, %f533, %f75;
	fma.rn.f32 	%f303, %f302, %f302, %f301;
	sub.f32 	%f304, %f532, %f75;
	fma.rn.f32 	%f560, %f304, %f304, %f303;

$L__BB7_14:
	mov.u32 	%r322, %tid.x;
	add.s32 	%r321, %r322, 512;
	ld.param.u32 	%r320, [gated_sum_norm_float16_param_7];
	setp.ge.u32 	%p13, %r321, %r320;
	@%p13 bra 	$L__BB7_16;

	sub.f32 	%f305, %f548, %f75;
	fma.rn.f32 	%f306, %f305, %f305, %f560;
	sub.f32 	%f307, %f547, %f75;
	fma.rn.f32 	%f308, %f307, %f307, %f306;
	sub.f32 	%f309, %f546, %f75;
	fma.rn.f32 	%f310, %f309, %f309, %f308;
	sub.f32 	%f311, %f545, %f75;
	fma.rn.f32 	%f312, %f311, %f311, %f310;
	sub.f32 	%f313, %f544, %f75;
	fma.rn.f32 	%f314, %f313, %f313, %f312;
	sub.f32 	%f315, %f543, %f75;
	fma.rn.f32 	%f316, %f315, %f315, %f314;
	sub.f32 	%f317, %f542, %f75;
	fma.rn.f32 	%f318, %f317, %f317, %f316;
	sub.f32 	%f319, %f541, %f75;
	fma.rn.f32 	%f560, %f319, %f319, %f318;

$L__BB7_16:
	mov.u32 	%r325, %tid.x;
	add.s32 	%r324, %r325, 768;
	ld.param.u32 	%r323, [gated_sum_norm_float16_param_7];
	setp.ge.u32 	%p14, %r324, %r323;
	@%p14 bra 	$L__BB7_18;

	sub.f32 	%f320, %f557, %f75;
	fma.rn.f32 	%f321, %f320, %f320, %f560;
	sub.f32 	%f322, %f556, %f75;
	fma.rn.f32 	%f323, %f322, %f322, %f321;
	sub.f32 	%f324, %f555, %f75;
	fma.rn.f32 	%f325, %f324, %f324, %f323;
	sub.f32 	%f326, %f554, %f75;
	fma.rn.f32 	%f327, %f326, %f326, %f325;
	sub.f32 	%f328, %f553, %f75;
	fma.rn.f32 	%f329, %f328, %f328, %f327;
	sub.f32 	%f330, %f552, %f75;
	fma.rn.f32 	%f331, %f330, %f330, %f329;
	sub.f32 	%f332, %f551, %f75;
	fma.rn.f32 	%f333, %f332, %f332, %f331;
	sub.f32 	%f334, %f550, %f75;
	fma.rn.f32 	%f560, %f334, %f334, %f333;

$L__BB7_18:
	mov.b32 	%r186, %f560;
	mov.u32 	%r187, 31;
	mov.u32 	%r188, 16;
	mov.u32 	%r189, -1;
	shfl.sync.bfly.b32 	%r190|%p15, %r186, %r188, %r187, %r189;
	mov.b32 	%f335, %r190;
	add.f32 	%f336, %f560, %f335;
	mov.b32 	%r191, %f336;
	mov.u32 	%r192, 8;
	shfl.sync.bfly.b32 	%r193|%p16, %r191, %r192, %r187, %r189;
	mov.b32 	%f337, %r193;
	add.f32 	%f338, %f336, %f337;
	mov.b32 	%r194, %f338;
	mov.u32 	%r195, 4;
	shfl.sync.bfly.b32 	%r196|%p17, %r194, %r195, %r187, %r189;
	mov.b32 	%f339, %r196;
	add.f32 	%f340, %f338, %f339;
	mov.b32 	%r197, %f340;
	mov.u32 	%r198, 2;
	shfl.sync.bfly.b32 	%r199|%p18, %r197, %r198, %r187, %r189;
	mov.b32 	%f341, %r199;
	add.f32 	%f342, %f340, %f341;
	mov.b32 	%r200, %f342;
	mov.u32 	%r201, 1;
	shfl.sync.bfly.b32 	%r202|%p19, %r200, %r201, %r187, %r189;
	mov.b32 	%f343, %r202;
	add.f32 	%f84, %f342, %f343;
	bar.sync 	0;
	@%p10 bra 	$L__BB7_20;

	st.shared.f32 	[%rd6], %f84;

$L__BB7_20:
	ld.param.u64 	%rd38, [gated_sum_norm_float16_param_6];
	ld.param.u64 	%rd37, [gated_sum_norm_float16_param_4];
	ld.param.u64 	%rd36, [gated_sum_norm_float16_param_3];
	ld.param.f32 	%f522, [gated_sum_norm_float16_param_8];
	bar.sync 	0;
	ld.shared.f32 	%f344, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room];
	add.f32 	%f345, %f344, 0f00000000;
	ld.shared.f32 	%f346, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+4];
	add.f32 	%f347, %f345, %f346;
	ld.shared.f32 	%f348, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+8];
	add.f32 	%f349, %f347, %f348;
	ld.shared.f32 	%f350, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+12];
	add.f32 	%f351, %f349, %f350;
	ld.shared.f32 	%f352, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+16];
	add.f32 	%f353, %f351, %f352;
	ld.shared.f32 	%f354, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+20];
	add.f32 	%f355, %f353, %f354;
	ld.shared.f32 	%f356, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+24];
	add.f32 	%f357, %f355, %f356;
	ld.shared.f32 	%f358, [_ZZ14gated_sum_normI7Float16EvPK5uint4S3_S3_S3_S3_PS1_S4_ifE4room+28];
	add.f32 	%f359, %f357, %f358;
	div.rn.f32 	%f360, %f359, %f74;
	add.f32 	%f361, %f360, %f522;
	rsqrt.approx.f32 	%f85, %f361;
	cvta.to.global.u64 	%rd30, %rd36;
	add.s64 	%rd7, %rd30, %rd26;
	cvta.to.global.u64 	%rd32, %rd37;
	add.s64 	%rd8, %rd32, %rd26;
	cvta.to.global.u64 	%rd34, %rd38;
	add.s64 	%rd9, %rd34, %rd23;
	@%p2 bra 	$L__BB7_22;

	ld.global.v4.u32 	{%r203, %r204, %r205, %r206}, [%rd7];
	ld.global.v4.u32 	{%r211, %r212, %r213, %r214}, [%rd8];
	sub.f32 	%f386, %f530, %f75;
	mul.f32 	%f387, %f85, %f386;
	cvt.u16.u32 	%rs129, %r203;
	// begin inline asm
	cvt.f32.f16 %f362, %rs129;
	// end inline asm
	cvt.u16.u32 	%rs130, %r211;
	// begin inline asm
	cvt.f32.f16 %f363, %rs130;
	// end inline asm
	fma.rn.f32 	%f366, %f387, %f362, %f363;
	sub.f32 	%f388, %f529, %f75;
	mul.f32 	%f389, %f85, %f388;
	shr.u32 	%r219, %r203, 16;
	cvt.u16.u32 	%rs131, %r219;
	// begin inline asm
	cvt.f32.f16 %f364, %rs131;
	// end inline asm
	shr.u32 	%r220, %r211, 16;
	cvt.u16.u32 	%rs132, %r220;
	// begin inline asm
	cvt.f32.f16 %f365, %rs132;
	// end inline asm
	fma.rn.f32 	%f367, %f389, %f364, %f365;
	// begin inline asm
	cvt.rn.f16.f32 %rs133, %f366;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs134, %f367;
	// end inline asm
	sub.f32 	%f390, %f528, %f75;
	mul.f32 	%f391, %f85, %f390;
	cvt.u16.u32 	%rs135, %r204;
	// begin inline asm
	cvt.f32.f16 %f368, %rs135;
	// end inline asm
	cvt.u16.u32 	%rs136, %r212;
	// begin inline asm
	cvt.f32.f16 %f369, %rs136;
	// end inline asm
	fma.rn.f32 	%f372, %f391, %f368, %f369;
	sub.f32 	%f392, %f527, %f75;
	mul.f32 	%f393, %f85, %f392;
	shr.u32 	%r221, %r204, 16;
	cvt.u16.u32 	%rs137, %r221;
	// begin inline asm
	cvt.f32.f16 %f370, %rs137;
	// end inline asm
	shr.u32 	%r222, %r212, 16;
	cvt.u16.u32 	%rs138, %r222;
	// begin inline asm
	cvt.f32.f16 %f371, %rs138;
	// end inline asm
	fma.rn.f32 	%f373, %f393, %f370, %f371;
	// begin inline asm
	cvt.rn.f16.f32 %rs139, %f372;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs140, %f373;
	// end inline asm
	sub.f32 	%f394, %f526, %f75;
	mul.f32 	%f395, %f85, %f394;
	cvt.u16.u32 	%rs141, %r205;
	// begin inline asm
	cvt.f32.f16 %f374, %rs141;
	// end inline asm
	cvt.u16.u32 	%rs142, %r213;
	// begin inline asm
	cvt.f32.f16 %f375, %rs142;
	// end inline asm
	fma.rn.f32 	%f378, %f395, %f374, %f375;
	sub.f32 	%f396, %f525, %f75;
	mul.f32 	%f397, %f85, %f396;
	shr.u32 	%r223, %r205, 16;
	cvt.u16.u32 	%rs143, %r223;
	// begin inline asm
	cvt.f32.f16 %f376, %rs143;
	// end inline asm
	shr.u32 	%r224, %r213, 16;
	cvt.u16.u32 	%rs144, %r224;
	// begin inline asm
	cvt.f32.f16 %f377, %rs144;
	// end inline asm
	fma.rn.f32 	%f379, %f397, %f376, %f377;
	// begin inline asm
	cvt.rn.f16.f32 %rs145, %f378;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs146, %f379;
	// end inline asm
	sub.f32 	%f398, %f524, %f75;
	mul.f32 	%f399, %f85, %f398;
	cvt.u16.u32 	%rs147, %r206;
	// begin inline asm
	cvt.f32.f16 %f380, %rs147;
	// end inline asm
	cvt.u16.u32 	%rs148, %r214;
	// begin inline asm
	cvt.f32.f16 %f381, %rs148;
	// end inline asm
	fma.rn.f32 	%f384, %f399, %f380, %f381;
	sub.f32 	%f400, %f523, %f75;
	mul.f32 	%f401, %f85, %f400;
	shr.u32 	%r225, %r206, 16;
	cvt.u16.u32 	%rs149, %r225;
	// begin inline asm
	cvt.f32.f16 %f382, %rs149;
	// end inline asm
	shr.u32 	%r226, %r214, 16;
	cvt.u16.u32 	%rs150, %r226;
	// begin inline asm
	cvt.f32.f16 %f383, %rs150;
	// end inline asm
	fma.rn.f32 	%f385, %f401, %f382, %f383;
	// begin inline asm
	cvt.rn.f16.f32 %rs151, %f384;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs152, %f385;
	// end inline asm
	mov.b32 	%r227, {%rs151, %rs152};
	mov.b32 	%r228, {%rs145, %rs146};
	mov.b32 	%r229, {%rs139, %rs140};
	mov.b32 	%r230, {%rs133, %rs134};
	st.global.v4.u32 	[%rd9], {%r230, %r229, %r228, %r227};

$L__BB7_22:
	@%p3 bra 	$L__BB7_24;

	ld.global.v4.u32 	{%r231, %r232, %r233, %r234}, [%rd7+4096];
	ld.global.v4.u32 	{%r239, %r240, %r241, %r242}, [%rd8+4096];
	sub.f32 	%f426, %f539, %f75;
	mul.f32 	%f427, %f85, %f426;
	cvt.u16.u32 	%rs153, %r231;
	// begin inline asm
	cvt.f32.f16 %f402, %rs153;
	// end inline asm
	cvt.u16.u32 	%rs154, %r239;
	// begin inline asm
	cvt.f32.f16 %f403, %rs154;
	// end inline asm
	fma.rn.f32 	%f406, %f427, %f402, %f403;
	sub.f32 	%f428, %f538, %f75;
	mul.f32 	%f429, %f85, %f428;
	shr.u32 	%r247, %r231, 16;
	cvt.u16.u32 	%rs155, %r247;
	// begin inline asm
	cvt.f32.f16 %f404, %rs155;
	// end inline asm
	shr.u32 	%r248, %r239, 16;
	cvt.u16.u32 	%rs156, %r248;
	// begin inline asm
	cvt.f32.f16 %f405, %rs156;
	// end inline asm
	fma.rn.f32 	%f407, %f429, %f404, %f405;
	// begin inline asm
	cvt.rn.f16.f32 %rs157, %f406;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs158, %f407;
	// end inline asm
	sub.f32 	%f430, %f537, %f75;
	mul.f32 	%f431, %f85, %f430;
	cvt.u16.u32 	%rs159, %r232;
	// begin inline asm
	cvt.f32.f16 %f408, %rs159;
	// end inline asm
	cvt.u16.u32 	%rs160, %r240;
	// begin inline asm
	cvt.f32.f16 %f409, %rs160;
	// end inline asm
	fma.rn.f32 	%f412, %f431, %f408, %f409;
	sub.f32 	%f432, %f536, %f75;
	mul.f32 	%f433, %f85, %f432;
	shr.u32 	%r249, %r232, 16;
	cvt.u16.u32 	%rs161, %r249;
	// begin inline asm
	cvt.f32.f16 %f410, %rs161;
	// end inline asm
	shr.u32 	%r250, %r240, 16;
	cvt.u16.u32 	%rs162, %r250;
	// begin inline asm
	cvt.f32.f16 %f411, %rs162;
	// end inline asm
	fma.rn.f32 	%f413, %f433, %f410, %f411;
	// begin inline asm
	cvt.rn.f16.f32 %rs163, %f412;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs164, %f413;
	// end inline asm
	sub.f32 	%f434, %f535, %f75;
	mul.f32 	%f435, %f85, %f434;
	cvt.u16.u32 	%rs165, %r233;
	// begin inline asm
	cvt.f32.f16 %f414, %rs165;
	// end inline asm
	cvt.u16.u32 	%rs166, %r241;
	// begin inline asm
	cvt.f32.f16 %f415, %rs166;
	// end inline asm
	fma.rn.f32 	%f418, %f435, %f414, %f415;
	sub.f32 	%f436, %f534, %f75;
	mul.f32 	%f437, %f85, %f436;
	shr.u32 	%r251, %r233, 16;
	cvt.u16.u32 	%rs167, %r251;
	// begin inline asm
	cvt.f32.f16 %f416, %rs167;
	// end inline asm
	shr.u32 	%r252, %r241, 16;
	cvt.u16.u32 	%rs168, %r252;
	// begin inline asm
	cvt.f32.f16 %f417, %rs168;
	// end inline asm
	fma.rn.f32 	%f419, %f437, %f416, %f417;
	// begin inline asm
	cvt.rn.f16.f32 %rs169, %f418;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs170, %f419;
	// end inline asm
	sub.f32 	%f438, %f533, %f75;
	mul.f32 	%f439, %f85, %f438;
	cvt.u16.u32 	%rs171, %r234;
	// begin inline asm
	cvt.f32.f16 %f420, %rs171;
	// end inline asm
	cvt.u16.u32 	%rs172, %r242;
	// begin inline asm
	cvt.f32.f16 %f421, %rs172;
	// end inline asm
	fma.rn.f32 	%f424, %f439, %f420, %f421;
	sub.f32 	%f440, %f532, %f75;
	mul.f32 	%f441, %f85, %f440;
	shr.u32 	%r253, %r234, 16;
	cvt.u16.u32 	%rs173, %r253;
	// begin inline asm
	cvt.f32.f16 %f422, %rs173;
	// end inline asm
	shr.u32 	%r254, %r242, 16;
	cvt.u16.u32 	%rs174, %r254;
	// begin inline asm
	cvt.f32.f16 %f423, %rs174;
	// end inline asm
	fma.rn.f32 	%f425, %f441, %f422, %f423;
	// begin inline asm
	cvt.rn.f16.f32 %rs175, %f424;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs176, %f425;
	// end inline asm
	mov.b32 	%r255, {%rs175, %rs176};
	mov.b32 	%r256, {%rs169, %rs170};
	mov.b32 	%r257, {%rs163, %rs164};
	mov.b32 	%r258, {%rs157, %rs158};
	st.global.v4.u32 	[%rd9+4096], {%r258, %r257, %r256, %r255};

$L__BB7_24:
	@%p4 bra 	$L__BB7_26;

	ld.global.v4.u32 	{%r259, %r260, %r261, %r262}, [%rd7+8192];
	ld.global.v4.u32 	{%r267, %r268, %r269, %r270}, [%rd8+8192];
	sub.f32 	%f466, %f548, %f75;
	mul.f32 	%f467, %f85, %f466;
	cvt.u16.u32 	%rs177, %r259;
	// begin inline asm
	cvt.f32.f16 %f442, %rs177;
	// end inline asm
	cvt.u16.u32 	%rs178, %r267;
	// begin inline asm
	cvt.f32.f16 %f443, %rs178;
	// end inline asm
	fma.rn.f32 	%f446, %f467, %f442, %f443;
	sub.f32 	%f468, %f547, %f75;
	mul.f32 	%f469, %f85, %f468;
	shr.u32 	%r275, %r259, 16;
	cvt.u16.u32 	%rs179, %r275;
	// begin inline asm
	cvt.f32.f16 %f444, %rs179;
	// end inline asm
	shr.u32 	%r276, %r267, 16;
	cvt.u16.u32 	%rs180, %r276;
	// begin inline asm
	cvt.f32.f16 %f445, %rs180;
	// end inline asm
	fma.rn.f32 	%f447, %f469, %f444, %f445;
	// begin inline asm
	cvt.rn.f16.f32 %rs181, %f446;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs182, %f447;
	// end inline asm
	sub.f32 	%f470, %f546, %f75;
	mul.f32 	%f471, %f85, %f470;
	cvt.u16.u32 	%rs183, %r260;
	// begin inline asm
	cvt.f32.f16 %f448, %rs183;
	// end inline asm
	cvt.u16.u32 	%rs184, %r268;
	// begin inline asm
	cvt.f32.f16 %f449, %rs184;
	// end inline asm
	fma.rn.f32 	%f452, %f471, %f448, %f449;
	sub.f32 	%f472, %f545, %f75;
	mul.f32 	%f473, %f85, %f472;
	shr.u32 	%r277, %r260, 16;
	cvt.u16.u32 	%rs185, %r277;
	// begin inline asm
	cvt.f32.f16 %f450, %rs185;
	// end inline asm
	shr.u32 	%r278, %r268, 16;
	cvt.u16.u32 	%rs186, %r278;
	// begin inline asm
	cvt.f32.f16 %f451, %rs186;
	// end inline asm
	fma.rn.f32 	%f453, %f473, %f450, %f451;
	// begin inline asm
	cvt.rn.f16.f32 %rs187, %f452;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs188, %f453;
	// end inline asm
	sub.f32 	%f474, %f544, %f75;
	mul.f32 	%f475, %f85, %f474;
	cvt.u16.u32 	%rs189, %r261;
	// begin inline asm
	cvt.f32.f16 %f454, %rs189;
	// end inline asm
	cvt.u16.u32 	%rs190, %r269;
	// begin inline asm
	cvt.f32.f16 %f455, %rs190;
	// end inline asm
	fma.rn.f32 	%f458, %f475, %f454, %f455;
	sub.f32 	%f476, %f543, %f75;
	mul.f32 	%f477, %f85, %f476;
	shr.u32 	%r279, %r261, 16;
	cvt.u16.u32 	%rs191, %r279;
	// begin inline asm
	cvt.f32.f16 %f456, %rs191;
	// end inline asm
	shr.u32 	%r280, %r269, 16;
	cvt.u16.u32 	%rs192, %r280;
	// begin inline asm
	cvt.f32.f16 %f457, %rs192;
	// end inline asm
	fma.rn.f32 	%f459, %f477, %f456, %f457;
	// begin inline asm
	cvt.rn.f16.f32 %rs193, %f458;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs194, %f459;
	// end inline asm
	sub.f32 	%f478, %f542, %f75;
	mul.f32 	%f479, %f85, %f478;
	cvt.u16.u32 	%rs195, %r262;
	// begin inline asm
	cvt.f32.f16 %f460, %rs195;
	// end inline asm
	cvt.u16.u32 	%rs196, %r270;
	// begin inline asm
	cvt.f32.f16 %f461, %rs196;
	// end inline asm
	fma.rn.f32 	%f464, %f479, %f460, %f461;
	sub.f32 	%f480, %f541, %f75;
	mul.f32 	%f481, %f85, %f480;
	shr.u32 	%r281, %r262, 16;
	cvt.u16.u32 	%rs197, %r281;
	// begin inline asm
	cvt.f32.f16 %f462, %rs197;
	// end inline asm
	shr.u32 	%r282, %r270, 16;
	cvt.u16.u32 	%rs198, %r282;
	// begin inline asm
	cvt.f32.f16 %f463, %rs198;
	// end inline asm
	fma.rn.f32 	%f465, %f481, %f462, %f463;
	// begin inline asm
	cvt.rn.f16.f32 %rs199, %f464;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs200, %f465;
	// end inline asm
	mov.b32 	%r283, {%rs199, %rs200};
	mov.b32 	%r284, {%rs193, %rs194};
	mov.b32 	%r285, {%rs187, %rs188};
	mov.b32 	%r286, {%rs181, %rs182};
	st.global.v4.u32 	[%rd9+8192], {%r286, %r285, %r284, %r283};

$L__BB7_26:
	@%p5 bra 	$L__BB7_28;

	ld.global.v4.u32 	{%r287, %r288, %r289, %r290}, [%rd7+12288];
	ld.global.v4.u32 	{%r295, %r296, %r297, %r298}, [%rd8+12288];
	sub.f32 	%f506, %f557, %f75;
	mul.f32 	%f507, %f85, %f506;
	cvt.u16.u32 	%rs201, %r287;
	// begin inline asm
	cvt.f32.f16 %f482, %rs201;
	// end inline asm
	cvt.u16.u32 	%rs202, %r295;
	// begin inline asm
	cvt.f32.f16 %f483, %rs202;
	// end inline asm
	fma.rn.f32 	%f486, %f507, %f482, %f483;
	sub.f32 	%f508, %f556, %f75;
	mul.f32 	%f509, %f85, %f508;
	shr.u32 	%r303, %r287, 16;
	cvt.u16.u32 	%rs203, %r303;
	// begin inline asm
	cvt.f32.f16 %f484, %rs203;
	// end inline asm
	shr.u32 	%r304, %r295, 16;
	cvt.u16.u32 	%rs204, %r304;
	// begin inline asm
	cvt.f32.f16 %f485, %rs204;
	// end inline asm
	fma.rn.f32 	%f487, %f509, %f484, %f485;
	// begin inline asm
	cvt.rn.f16.f32 %rs205, %f486;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs206, %f487;
	// end inline asm
	sub.f32 	%f510, %f555, %f75;
	mul.f32 	%f511, %f85, %f510;
	cvt.u16.u32 	%rs207, %r288;
	// begin inline asm
	cvt.f32.f16 %f488, %rs207;
	// end inline asm
	cvt.u16.u32 	%rs208, %r296;
	// begin inline asm
	cvt.f32.f16 %f489, %rs208;
	// end inline asm
	fma.rn.f32 	%f492, %f511, %f488, %f489;
	sub.f32 	%f512, %f554, %f75;
	mul.f32 	%f513, %f85, %f512;
	shr.u32 	%r305, %r288, 16;
	cvt.u16.u32 	%rs209, %r305;
	// begin inline asm
	cvt.f32.f16 %f490, %rs209;
	// end inline asm
	shr.u32 	%r306, %r296, 16;
	cvt.u16.u32 	%rs210, %r306;
	// begin inline asm
	cvt.f32.f16 %f491, %rs210;
	// end inline asm
	fma.rn.f32 	%f493, %f513, %f490, %f491;
	// begin inline asm
	cvt.rn.f16.f32 %rs211, %f492;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs212, %f493;
	// end inline asm
	sub.f32 	%f514, %f553, %f75;
	mul.f32 	%f515, %f85, %f514;
	cvt.u16.u32 	%rs213, %r289;
	// begin inline asm
	cvt.f32.f16 %f494, %rs213;
	// end inline asm
	cvt.u16.u32 	%rs214, %r297;
	// begin inline asm
	cvt.f32.f16 %f495, %rs214;
	// end inline asm
	fma.rn.f32 	%f498, %f515, %f494, %f495;
	sub.f32 	%f516, %f552, %f75;
	mul.f32 	%f517, %f85, %f516;
	shr.u32 	%r307, %r289, 16;
	cvt.u16.u32 	%rs215, %r307;
	// begin inline asm
	cvt.f32.f16 %f496, %rs215;
	// end inline asm
	shr.u32 	%r308, %r297, 16;
	cvt.u16.u32 	%rs216, %r308;
	// begin inline asm
	cvt.f32.f16 %f497, %rs216;
	// end inline asm
	fma.rn.f32 	%f499, %f517, %f496, %f497;
	// begin inline asm
	cvt.rn.f16.f32 %rs217, %f498;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs218, %f499;
	// end inline asm
	sub.f32 	%f518, %f551, %f75;
	mul.f32 	%f519, %f85, %f518;
	cvt.u16.u32 	%rs219, %r290;
	// begin inline asm
	cvt.f32.f16 %f500, %rs219;
	// end inline asm
	cvt.u16.u32 	%rs220, %r298;
	// begin inline asm
	cvt.f32.f16 %f501, %rs220;
	// end inline asm
	fma.rn.f32 	%f504, %f519, %f500, %f501;
	sub.f32 	%f520, %f550, %f75;
	mul.f32 	%f521, %f85, %f520;
	shr.u32 	%r309, %r290, 16;
	cvt.u16.u32 	%rs221, %r309;
	// begin inline asm
	cvt.f32.f16 %f502, %rs221;
	// end inline asm
	shr.u32 	%r310, %r298, 16;
	cvt.u16.u32 	%rs222, %r310;
	// begin inline asm
	cvt.f32.f16 %f503, %rs222;
	// end inline asm
	fma.rn.f32 	%f505, %f521, %f502, %f503;
	// begin inline asm
	cvt.rn.f16.f32 %rs223, %f504;
	// end inline asm
	// begin inline asm
	cvt.rn.f16.f32 %rs224, %f505;
	// end inline asm
	mov.b32 	%r311, {%rs223, %rs224};
	mov.b32 	%r312, {%rs217, %rs218};
	mov.b32 	%r313, {%rs211, %rs212};
	mov.b32 	%r314, {%rs205, %rs206};
	st.global.v4.u32 	[%rd9+12288], {%r314, %r313, %r312, %r311};

$L__BB7_28:
	ret;

}
`;
