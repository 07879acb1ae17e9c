/*
 * PTX of tools/kernels/kernels.cu. Made by tools/kernels/compile.py; not to be edited.
 */

/** SHA-256 of the source. */
export const KERNELS_SOURCE_SHA256 = '2f956e327ec23c7e0344d842ee448230c704a655f580171f6b7a696ccf508046';

export const KERNELS_PTX = `.version 9.0
.target sm_75
.address_size 64

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
	@%p1 bra 	$L__BB0_15;

	or.b64  	%rd24, %rd1, %rd2;
	and.b64  	%rd25, %rd24, -4294967296;
	setp.eq.s64 	%p2, %rd25, 0;
	@%p2 bra 	$L__BB0_3;

	div.s64 	%rd50, %rd1, %rd2;
	bra.uni 	$L__BB0_4;

$L__BB0_3:
	cvt.u32.u64 	%r17, %rd2;
	cvt.u32.u64 	%r18, %rd1;
	div.u32 	%r19, %r18, %r17;
	cvt.u64.u32 	%rd50, %r19;

$L__BB0_4:
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
	@%p3 bra 	$L__BB0_6;

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

$L__BB0_6:
	or.b32  	%r4, %r1, 32;
	cvt.u32.u64 	%r5, %rd6;
	setp.ge.s32 	%p4, %r4, %r5;
	@%p4 bra 	$L__BB0_8;

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

$L__BB0_8:
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
	@%p2 bra 	$L__BB0_10;

	rem.s64 	%rd51, %rd1, %rd2;
	bra.uni 	$L__BB0_11;

$L__BB0_10:
	cvt.u32.u64 	%r59, %rd2;
	cvt.u32.u64 	%r60, %rd1;
	rem.u32 	%r61, %r60, %r59;
	cvt.u64.u32 	%rd51, %r61;

$L__BB0_11:
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
	@%p11 bra 	$L__BB0_13;

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

$L__BB0_13:
	@%p4 bra 	$L__BB0_15;

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

$L__BB0_15:
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
	@%p1 bra 	$L__BB1_6;

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

$L__BB1_2:
	cvt.s64.s32 	%rd8, %r122;
	setp.lt.s32 	%p2, %r122, %r18;
	@%p2 bra 	$L__BB1_4;
	bra.uni 	$L__BB1_3;

$L__BB1_4:
	add.s64 	%rd22, %rd1, %rd8;
	shl.b64 	%rd23, %rd22, 4;
	add.s64 	%rd24, %rd6, %rd23;
	ld.global.v4.u32 	{%r123, %r124, %r125, %r126}, [%rd24];
	bra.uni 	$L__BB1_5;

$L__BB1_3:
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

$L__BB1_5:
	add.s64 	%rd25, %rd2, %rd8;
	shl.b64 	%rd26, %rd25, 4;
	add.s64 	%rd27, %rd7, %rd26;
	st.global.v4.u32 	[%rd27], {%r123, %r124, %r125, %r126};
	cvt.u32.u64 	%r121, %rd8;
	add.s32 	%r122, %r121, %r3;
	setp.lt.s32 	%p11, %r122, %r2;
	@%p11 bra 	$L__BB1_2;

$L__BB1_6:
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
	mov.f32 	%f122, 0f00000000;
	@%p3 bra 	$L__BB2_6;

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

$L__BB2_6:
	or.b32  	%r4, %r1, 32;
	cvt.u32.u64 	%r5, %rd6;
	setp.ge.s32 	%p4, %r4, %r5;
	@%p4 bra 	$L__BB2_8;

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

$L__BB2_8:
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
	@%p2 bra 	$L__BB2_10;

	rem.s64 	%rd51, %rd1, %rd2;
	bra.uni 	$L__BB2_11;

$L__BB2_10:
	cvt.u32.u64 	%r55, %rd2;
	cvt.u32.u64 	%r56, %rd1;
	rem.u32 	%r57, %r56, %r55;
	cvt.u64.u32 	%rd51, %r57;

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

$L__BB2_13:
	@%p4 bra 	$L__BB2_15;

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

$L__BB2_15:
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
	cvt.s64.s32 	%rd8, %r50;
	setp.lt.s32 	%p2, %r50, %r18;
	@%p2 bra 	$L__BB3_4;
	bra.uni 	$L__BB3_3;

$L__BB3_4:
	add.s64 	%rd22, %rd1, %rd8;
	shl.b64 	%rd23, %rd22, 4;
	add.s64 	%rd24, %rd6, %rd23;
	ld.global.v4.u32 	{%r51, %r52, %r53, %r54}, [%rd24];
	bra.uni 	$L__BB3_5;

$L__BB3_3:
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

$L__BB3_5:
	add.s64 	%rd25, %rd2, %rd8;
	shl.b64 	%rd26, %rd25, 4;
	add.s64 	%rd27, %rd7, %rd26;
	st.global.v4.u32 	[%rd27], {%r51, %r52, %r53, %r54};
	cvt.u32.u64 	%r49, %rd8;
	add.s32 	%r50, %r49, %r3;
	setp.lt.s32 	%p3, %r50, %r2;
	@%p3 bra 	$L__BB3_2;

$L__BB3_6:
	ret;

}
`;
